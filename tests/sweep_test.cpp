// Sweeps: what they try, when they give a trial up, what they remember, and that one that is killed ends as one that is not.
#include <cmath>
#include <fstream>

#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/scratch.h"
#include "tests/workplace.h"
#include "tools/train/sweep_plan.h"
#include "tools/train/sweep_table.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;

namespace {

SweepPlan plan_of(const std::string& sweep, int trials = 0, int repeats = 0) {
  return plan_sweep(recipe_from_text("title = 't'\nmodel = 'compact_resnet'\n" + sweep, "x.toml"), trials, repeats);
}

std::string refused(const std::string& sweep) {
  try {
    plan_of(sweep);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

EpochRecord epoch(int number, int right) {
  EpochRecord r;
  r.epoch = number;
  r.val.confusion = r.train.confusion = Confusion(2);
  r.val.confusion.at(0, 0) = right, r.val.confusion.at(0, 1) = 100 - right;
  r.val.count = 100, r.val.loss_sum = 50;
  return r;
}

RepeatedRun run_with(uint64_t seed, double accuracy, double loss = 1) {
  return {seed, 1, 2, {{"val", {{"accuracy", accuracy}, {"loss", loss}}}}};
}

}  // namespace

TEST_CASE("sweep plan: grids, lists and draws", "[sweep]") {
  const SweepPlan grid = plan_of("[sweep]\nrepeats = 3\nprune = 'none'\nmonitor = 'val_loss'\n[sweep.grid]\nlr = [0.1, 0.2]\nweight-decay = [0]\noptimizer = ['sgd', 'adam']\n");
  CHECK(grid.repeats == 3);
  CHECK_FALSE(grid.prune);
  CHECK(grid.monitor == "val_loss");
  REQUIRE(grid.trials.size() == 4);
  CHECK(grid.trials[0] == Json({{"lr", 0.1}, {"weight_decay", 0.0}, {"optimizer", "sgd"}}));
  CHECK(grid.trials[1] == Json({{"lr", 0.1}, {"weight_decay", 0.0}, {"optimizer", "adam"}}));
  CHECK(grid.trials[3].at("lr") == 0.2);
  CHECK(plan_of("[sweep.grid]\nlr = [0.1, 0.2, 0.3]\n", 2, 5).trials.size() == 2);
  CHECK(plan_of("[sweep.grid]\nlr = [0.1, 0.2, 0.3]\n", 2, 5).repeats == 5);

  const SweepPlan list = plan_of("[[sweep.list]]\nlr = 0.1\n[[sweep.list]]\noptimizer = 'sgd'\nva = false\n");
  REQUIRE(list.trials.size() == 2);
  CHECK(list.trials[1] == Json({{"optimizer", "sgd"}, {"valence_arousal", false}}));

  const std::string random =
      "[sweep]\ntrials = 200\nseed = 4\n[sweep.random]\nlr = {log_uniform = [1e-5, 1e-1]}\ndropout = {uniform = [0, 0.5]}\nbatch = {integer = [3, 5]}\noptimizer = {choice = ['sgd', 'adam']}\n";
  const SweepPlan drawn = plan_of(random);
  REQUIRE(drawn.trials.size() == 200);
  std::map<int, int> batches;
  std::map<std::string, int> optimizers;
  int small = 0, low = 0;
  for (const Json& t : drawn.trials) {
    const double lr = t.at("lr"), dropout = t.at("dropout");
    CHECK(lr >= 1e-5);
    CHECK(lr <= 1e-1);
    CHECK(dropout >= 0);
    CHECK(dropout <= 0.5);
    CHECK(fmt::format("{:.4g}", lr) == fmt::format("{}", lr));  // short to read
    small += lr < 1e-3, low += dropout < 0.25;
    ++batches[t.at("batch").get<int>()], ++optimizers[t.at("optimizer").get<std::string>()];
  }
  // Within four standard deviations of what is expected.
  CHECK(std::abs(small - 100) < 30);
  CHECK(std::abs(low - 100) < 30);
  CHECK(batches.size() == 3);
  for (const auto& [value, count] : batches) CHECK(std::abs(count - 67) < 28);
  CHECK(optimizers.size() == 2);
  CHECK(std::abs(optimizers["sgd"] - 100) < 30);
  // The same seed draws the same; more trials leave the first ones.
  CHECK(plan_of(random).trials == drawn.trials);
  const SweepPlan more = plan_of(random, 210);
  CHECK(std::equal(drawn.trials.begin(), drawn.trials.end(), more.trials.begin()));
  std::string other = random;
  other.replace(other.find("seed = 4"), 8, "seed = 5");
  CHECK(plan_of(other).trials[0] != drawn.trials[0]);
  CHECK(plan_of("[sweep.random]\nlr = {uniform = [0.1, 1]}\n").trials.size() == 20);
}

TEST_CASE("sweep plan: what is wrong is named", "[sweep]") {
  CHECK_THAT(refused(""), contains("x.toml has no [sweep]"));
  CHECK_THAT(refused("[sweep]\n"), contains("expected one of [sweep.grid]"));
  CHECK_THAT(refused("[sweep.grid]\nlr = [1]\n[sweep.random]\nlr = {uniform = [0.1, 1]}\n"), contains("expected one of"));
  CHECK_THAT(refused("[sweep]\ngird = 1\n[sweep.grid]\nlr = [1]\n"), contains("x.toml:4") && contains("did you mean 'grid'?"));
  CHECK_THAT(refused("[sweep.grid]\nlrr = [1]\n"), contains("x.toml:4: unknown setting 'lrr'. Fix: did you mean 'lr'?"));
  CHECK_THAT(refused("[sweep.grid]\nlr = 1\n"), contains("got 1, expected a list of values"));
  CHECK_THAT(refused("[sweep.grid]\nlr = []\n"), contains("got an empty list"));
  CHECK_THAT(refused("[sweep.grid]\nlr = [1, 'x']\n"), contains("'lr': got \"x\", expected a number"));
  CHECK_THAT(refused("[sweep.grid]\nlr = [1]\nweight-decay = [1]\nweight_decay = [1]\n"), contains("'weight_decay' is there twice"));
  CHECK_THAT(refused("[sweep.grid]\n"), contains("nothing to try"));
  CHECK_THAT(refused("[sweep]\ngrid = 1\n"), contains("'grid': got 1, expected a table"));
  CHECK_THAT(refused("[sweep]\nlist = 1\n"), contains("'list': got 1, expected tables"));
  CHECK_THAT(refused("[sweep]\nlist = [1]\n"), contains("expected a table of settings"));
  CHECK_THAT(refused("[sweep]\nrepeats = 0\n[sweep.grid]\nlr = [1]\n"), contains("'repeats': got 0, expected a whole number from 1"));
  CHECK_THAT(refused("[sweep]\nprune = 'half'\n[sweep.grid]\nlr = [1]\n"), contains("'prune': got \"half\""));
  CHECK_THAT(refused("[sweep]\nmonitor = 'val_acc'\n[sweep.grid]\nlr = [1]\n"), contains("unknown figure 'val_acc'"));
  CHECK_THAT(refused("[sweep.grid]\nlr = [0.1, -3]\n"), contains("x.toml: trial 2: [--lr] got -3"));
  CHECK_THAT(refused("[sweep.grid]\nmodel = ['compact_resnet', 'resnet9']\n"), contains("trial 2") && contains("resnet9"));
  std::string huge = "[sweep.grid]\n";
  for (const char* name : {"lr", "momentum", "weight_decay", "min_delta", "ema"}) huge += std::string(name) + " = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.01]\n";
  CHECK_THAT(refused(huge), contains("more than 10000 combinations"));
  for (const char* bad : {"1", "{}", "{uniform = [1, 2], choice = [1]}", "{normal = [0, 1]}", "{uniform = 1}", "{uniform = [1]}", "{uniform = [2, 1]}", "{uniform = [1, 1]}",
                          "{log_uniform = [0, 1]}", "{uniform = ['a', 'b']}", "{uniform = [0, inf]}", "{choice = []}", "{choice = ['x']}", "{integer = [0.5, 1.5]}"}) {
    INFO(bad);
    CHECK_THAT(refused(fmt::format("[sweep.random]\nlr = {}\n", bad)), contains("[sweep]") || contains("[recipe]"));
  }
  CHECK_THAT(refused("[sweep.random]\nbatch = {uniform = [1, 2]}\n"), contains("'batch' takes whole numbers. Fix: {integer = [1, 2]}"));
  CHECK_THAT(refused("[sweep.random]\nbatch = {integer = [0, 99999999999]}\n"), contains("expected the lower one first"));
  CHECK_THAT(refused("[sweep.random]\noptimizer = {uniform = [1, 2]}\n"), contains("expected text"));
}

TEST_CASE("sweep: a trial is given up below the median of those before it", "[sweep]") {
  SweepPlan plan;
  plan.prune_after = 2, plan.prune_trials = 3;
  const std::vector<std::vector<double>> others{{0.1, 0.5, 0.5}, {0.2, 0.3, 0.9}, {0.3, 0.4, 0.4}};
  const auto given_up = [&](std::vector<double> history) { return hopeless(plan, history, others); };
  CHECK_FALSE(given_up({0.0}));             // too early
  CHECK(given_up({0.1, 0.39}));             // after two epochs the others had 0.5, 0.3, 0.4 at best
  CHECK_FALSE(given_up({0.1, 0.4}));        // the median is not below itself
  CHECK_FALSE(given_up({0.45, 0.1}));       // its best counts
  CHECK(given_up({0.1, 0.41, 0.45}));       // after three: 0.5, 0.9, 0.4
  CHECK(given_up({0.1, 0.1, 0.1, 0.1}));    // longer than the others ran
  CHECK_FALSE(hopeless(plan, std::vector<double>{0, 0}, std::span(others).first(2)));
  plan.prune_trials = 2;
  CHECK(hopeless(plan, std::vector<double>{0.1, 0.39}, std::span(others).first(2)));        // between 0.3 and 0.5
  CHECK_FALSE(hopeless(plan, std::vector<double>{0.1, 0.4}, std::span(others).first(2)));
  // Figures that are no numbers are none: a trial without any is the worst.
  const std::vector<std::vector<double>> undefined{{NAN, NAN}, {0.5, NAN}, {NAN, 0.3}};
  plan.prune_trials = 3;
  CHECK(hopeless(plan, std::vector<double>{NAN, NAN}, undefined));
  CHECK(hopeless(plan, std::vector<double>{NAN, 0.2}, undefined));
  CHECK_FALSE(hopeless(plan, std::vector<double>{0.3, NAN}, undefined));
  plan.prune = false;
  CHECK_FALSE(given_up({0, 0, 0}));
}

TEST_CASE("sweep store: what it is told it tells again, in another process", "[sweep]") {
  Scratch scratch;
  const fs::path file = scratch.path / "sweep.sqlite";
  const std::vector<Json> trials{{{"lr", 0.1}}, {{"lr", 0.2}}};
  const MonitorDef& accuracy = find_monitor("val_accuracy");
  {
    SweepStore store(file);
    store.begin({{"a", 1}}, trials);
    store.set_value("data", "x");
    store.start(1, 0, 18446744073709551615u);
    const std::vector<EpochRecord> history{epoch(1, 10), epoch(2, 30)};
    store.add_epochs(1, 0, history, accuracy);
    store.add_epochs(1, 0, std::span(history).first(1), accuracy);  // said again
    store.finish(1, 0, RunStatus::finished, "", {18446744073709551615u, 2, 2, {{"val", {{"accuracy", 0.3}, {"loss", NAN}, {"kappa", 0.1}}}}});
    store.start(2, 0, 1);
    store.add_epochs(2, 0, history, accuracy);
  }
  SweepStore store(file);
  store.begin({{"a", 1}}, trials);
  CHECK(store.value("data") == "x");
  CHECK(store.value("none") == "");
  std::vector<SweptTrial> all = store.trials();
  REQUIRE(all.size() == 2);
  CHECK(all[0].settings == trials[0]);
  REQUIRE(all[0].runs.size() == 1);
  CHECK(all[0].runs[0].seed == 18446744073709551615u);
  CHECK(all[0].runs[0].figures.best_epoch == 2);
  const Figures& f = all[0].runs[0].figures.figures.at("val");
  REQUIRE(f.size() == 3);
  CHECK(f[0].first == "accuracy");
  CHECK(std::isnan(f[1].second));
  CHECK(f[2].second == 0.1);
  CHECK(all[0].status(1) == RunStatus::finished);
  CHECK(all[0].status(2) == RunStatus::running);
  CHECK(all[1].status(1) == RunStatus::running);
  CHECK(store.monitored_before(2) == std::vector<std::vector<double>>{{0.1, 0.3}});
  CHECK(store.monitored_before(1).empty());
  CHECK(store.monitored_before(3).size() == 1);  // the second is not finished

  store.begin({{"a", 1}}, {trials[0], trials[1], {{"lr", 0.3}}});  // more of them
  CHECK(store.trials().size() == 3);
  CHECK_THROWS_WITH(store.begin({{"a", 2}}, trials), contains("with other settings"));
  CHECK_THROWS_WITH(store.begin({{"a", 1}}, {trials[1]}), contains("trial 1 of the folder's sweep is {\"lr\":0.1}"));
  CHECK(store.trials().size() == 3);
}

TEST_CASE("sweep store: a file that is none is refused", "[sweep][hostile]") {
  Scratch scratch;
  const fs::path file = scratch.path / "sweep.sqlite";
  std::ofstream(file) << std::string(5000, 'x');
  CHECK_THROWS_WITH(SweepStore(file), contains("sweep.sqlite") && contains("not a database"));
  CHECK_THROWS_WITH(SweepStore(scratch.path / "none" / "x"), contains("unable to open"));
  CHECK_THROWS_AS(SweepStore(scratch.path), Error);
  fs::remove(file);
  {
    SweepStore store(file);
    store.begin(Json::object(), {{{"lr", 0.1}}});
  }
  const auto damaged = [&](const char* sql) {
    {
      Database database(file);
      database.run(sql);
    }
    CHECK_THROWS_AS(SweepStore(file).trials(), Error);
  };
  damaged("UPDATE trials SET settings = '{'");
  damaged("UPDATE trials SET settings = 7");
  { Database(file).run("UPDATE trials SET settings = '{}'"); }
  CHECK_NOTHROW(SweepStore(file).trials());
  { SweepStore(file).start(1, 0, 1); }
  damaged("UPDATE runs SET status = 'dreaming'");
  damaged("PRAGMA user_version = 9");
}

TEST_CASE("sweep table: best first, by any figure", "[sweep]") {
  std::vector<SweptTrial> trials;
  const auto add = [&](Json settings, std::vector<SweptRun> runs) { trials.push_back({int(trials.size()) + 1, std::move(settings), std::move(runs)}); };
  add({{"lr", 0.1}, {"optimizer", "a,b"}}, {{RunStatus::finished, 1, "", run_with(1, 0.5, 2)}, {RunStatus::finished, 2, "", run_with(2, 0.7, 3)}});
  add({{"lr", 0.2}}, {});
  add({{"lr", 0.3}}, {{RunStatus::pruned, 1, "", run_with(1, 0.65, 9)}});
  add({{"lr", 0.4}}, {{RunStatus::diverged, 1, "nan", {}}});
  add({{"lr", 0.5}}, {{RunStatus::finished, 1, "", run_with(1, NAN)}, {RunStatus::finished, 2, "", run_with(2, 0.9, 1)}});
  const auto order = [&](const std::string& figure) {
    std::vector<int> numbers;
    for (const SweepRow& row : sweep_rows(trials, 2, figure)) numbers.push_back(row.trial->number);
    return numbers;
  };
  CHECK(order("val_accuracy") == std::vector<int>{5, 3, 1, 2, 4});
  CHECK(order("val_loss") == std::vector<int>{5, 1, 3, 2, 4});
  CHECK_THROWS_WITH(order("val_acuracy"), contains("did you mean 'val_accuracy'?"));
  const std::vector<SweepRow> rows = sweep_rows(trials, 2, "val_accuracy");
  CHECK(rows[0].status == RunStatus::finished);
  CHECK(rows[2].figures.at("val_accuracy").mean == Approx(0.6));
  CHECK(sweep_csv(rows) ==
        "trial,status,runs,lr,optimizer,val_accuracy,val_accuracy_std,val_loss,val_loss_std\n"
        "5,finished,2,0.5,,0.900000,,1.000000,0.000000\n"
        "3,pruned,1,0.3,,0.650000,,9.000000,\n"
        "1,finished,2,0.1,\"a,b\",0.600000,0.141421,2.500000,0.707107\n"
        "2,waiting,0,0.2,,,,,\n"
        "4,diverged,0,0.4,,,,,\n");
  CHECK(sweep_json(rows)[4].at("runs")[0].at("message") == "nan");
  CHECK(sweep_rows({}, 1, "anything").empty());
  for (const char* name : {"val_loss", "test_valence_rmse", "val_arousal_mae"}) CHECK(less_is_better(name));
  for (const char* name : {"val_accuracy", "val_f1_happy", "test_kappa"}) CHECK_FALSE(less_is_better(name));
}

TEST_CASE("tool: a trial that cannot be trained does not end the sweep, and is tried again", "[sweep][cli]") {
  Workplace place;
  draw_faces(place.path / "faces", 16);
  std::ofstream(place.path / "mine.toml") << "title = 'mine'\nmodel = 'compact_resnet'\nsize = 16\nepochs = 1\n[sweep.grid]\nbatch = [500, 4]\n";
  const auto check = [&] {
    const Ran ran = place.run("sweep mine.toml --data faces");
    INFO(ran.out << ran.err);
    CHECK(ran.status == 2);
    CHECK_THAT(ran.err, contains("trial 1 has failed: [--batch] got 500, but there are only 12 training images"));
    CHECK_THAT(ran.out, contains("trial 1 of 2: batch 500") && contains("2  finished"));
    return ran.out;
  };
  CHECK_THAT(check(), contains("trial 2 of 2"));
  CHECK(check().find("trial 2 of 2") == std::string::npos);
  // Other data is another sweep.
  fs::remove(place.path / "faces/train/a" / fs::directory_iterator(place.path / "faces/train/a")->path().filename());
  expect_refused(place, "sweep mine.toml --data faces", "it is not what the sweep was begun with");
}

TEST_CASE("tool: a sweep that is killed again and again ends as one that is not", "[sweep][cli]") {
  Workplace place;
  draw_faces(place.path / "faces", 16, true);
  std::ofstream(place.path / "mine.toml") << "title = 'mine'\nmodel = 'compact_resnet'\nsize = 16\nbatch = 4\nepochs = 4\noptimizer = 'sgd'\nschedule = 'constant'\n"
                                             "[sweep]\nrepeats = 2\nprune_after = 2\nprune_trials = 2\nmonitor = 'train_loss'\n[sweep.grid]\nlr = [0.003, 0.01, 1e-6, 1e6, 0.03]\n";
  const Ran ran = place.run("sweep mine.toml --data faces --json");
  INFO(ran.err);
  REQUIRE(ran.status == 0);
  const fs::path whole = place.path / "runs/mine";
  const Json answer = Json::parse(ran.out);
  CHECK(answer.at("finished") == true);
  CHECK(answer.at("sort") == "train_loss");
  std::map<int, std::string> status;
  for (const Json& t : answer.at("trials")) status[t.at("trial").get<int>()] = t.at("status").get<std::string>();
  CHECK(status == std::map<int, std::string>{{1, "finished"}, {2, "finished"}, {3, "pruned"}, {4, "diverged"}, {5, status[5]}});
  for (const Json& t : answer.at("trials")) {
    if (t.at("trial") == 3) CHECK(t.at("runs") == Json::array({{{"seed", 1}, {"status", "pruned"}, {"best_epoch", t.at("runs")[0].at("best_epoch")}, {"epochs", 2}, {"message", "given up after epoch 2"}}}));
    if (t.at("trial") == 4) CHECK_THAT(t.at("runs")[0].at("message").get<std::string>(), contains("[train]"));
    if (t.at("trial") == 1) CHECK(t.at("figures").at("test_accuracy").at("n") == 2);
  }
  double best = -1;
  for (const Json& t : answer.at("trials"))
    if (t.at("figures").contains("train_loss")) {
      CHECK(t.at("figures").at("train_loss").at("mean").get<double>() >= best);
      best = t.at("figures").at("train_loss").at("mean");
    }
  CHECK_FALSE(fs::exists(whole / "trial-001/repeat-1/checkpoint"));
  CHECK(fs::exists(whole / "trial-001/repeat-2/model.safetensors"));
  const Json config = Json::parse(text_of(whole / "trial-002/repeat-2/config.json"));
  CHECK(config.at("settings").at("lr") == 0.01);
  CHECK(config.at("settings").at("seed") == 2);
  CHECK(config.at("recipe").at("name") == "mine");

  SECTION("killed at any moment") {
    int killed = 0;
    for (int life = 0; life < 60; ++life) {
      const Ran again = place.run_killed_after(0.1 + 0.15 * life, "sweep mine.toml --data faces --run parts");
      INFO(again.err);
      if (again.status == 0) break;
      REQUIRE(again.status == 137);
      ++killed;
    }
    CHECK(killed >= 3);
    REQUIRE(place.run("sweep mine.toml --data faces --run parts").status == 0);
    CHECK(text_of(place.path / "parts/table.csv") == text_of(whole / "table.csv"));
    for (const char* run : {"trial-001/repeat-1", "trial-002/repeat-2", "trial-003/repeat-1"})
      CHECK(text_of(place.path / "parts" / run / "model.safetensors") == text_of(whole / run / "model.safetensors"));
    const auto epochs = [](const fs::path& folder) {
      return Database(folder / "sweep.sqlite").run("SELECT trial, repeat, epoch, train_loss, val_loss, val_accuracy, monitored FROM epochs ORDER BY 1, 2, 3");
    };
    CHECK(epochs(place.path / "parts") == epochs(whole));
  }
  SECTION("asked again it tells again; more and other trials") {
    const std::string table = text_of(whole / "table.csv");
    const Ran again = place.run("sweep mine.toml --data faces --sort test_accuracy");
    CHECK(again.status == 0);
    CHECK_THAT(again.out, contains("test_accuracy") && contains("lr 0.003"));
    CHECK(again.out.find("epoch ") == std::string::npos);
    CHECK(place.run("sweep mine.toml --data faces --trials 2 --json").out.find("\"trial\": 3") == std::string::npos);
    CHECK(place.run("sweep mine.toml --data faces").status == 0);
    CHECK(text_of(whole / "table.csv") == table);
    expect_refused(place, "sweep mine.toml --data faces --sort val_acuracy", "did you mean 'val_accuracy'?");
    expect_refused(place, "sweep mine.toml --data faces --epochs 9", "with other settings");
    expect_refused(place, "sweep mine.toml --data faces --lr 9", "[--lr] the sweep tries its values itself");
    expect_refused(place, "train --recipe mine.toml", "is a sweep. Fix: vkfer sweep mine.toml");
    expect_refused(place, "sweep mine.toml --data faces --run faces", "is not empty");
    expect_refused(place, "sweep mine.toml --data nowhere --run new", "nowhere");
    expect_refused(place, "sweep r2-vgg19", "has no [sweep]");
    expect_refused(place, "sweep r2-learning-rate", "begins with ImageNet weights");
    expect_refused(place, "sweep", "recipe is missing");
    CHECK_FALSE(fs::exists(place.path / "new"));
    CHECK_FALSE(fs::exists(place.path / "runs/r2-learning-rate"));
  }
}

TEST_CASE("tool: a sweep on several devices ends as on one, however it was interrupted", "[sweep][cli]") {
  Workplace place;
  draw_faces(place.path / "faces", 16, true);
  const std::string start = "title = 'mine'\nmodel = 'compact_resnet'\nsize = 16\nbatch = 4\nepochs = 3\nschedule = 'constant'\n";
  const std::string trials = "[sweep.grid]\nlr = [0.003, 0.01, 1e-6, 1e6, 0.03]\n";
  std::ofstream(place.path / "all.toml") << start << "[sweep]\nrepeats = 2\nprune = 'none'\n" << trials;
  std::ofstream(place.path / "some.toml") << start << "[sweep]\nprune_after = 1\nprune_trials = 1\nmonitor = 'train_loss'\n" << trials;
  const auto weights = [&](const std::string& run) { return text_of(place.path / run / "model.safetensors"); };

  REQUIRE(place.run("sweep all.toml --data faces --device 0 --run one").status == 0);
  const Ran two = place.run("sweep all.toml --data faces --device 0,0 --run two");
  INFO(two.out << two.err);
  REQUIRE(two.status == 0);
  CHECK(text_of(place.path / "two/table.csv") == text_of(place.path / "one/table.csv"));
  for (const char* run : {"/trial-001/repeat-2", "/trial-005/repeat-1"}) {
    CHECK_FALSE(weights(std::string("one") + run).empty());
    CHECK(weights(std::string("two") + run) == weights(std::string("one") + run));
  }
  CHECK_THAT(two.out, contains(": trial 1 of 5, repeat 1: lr 0.003") && contains("trial 4 diverged"));
  CHECK(two.out.find("epoch   train") == std::string::npos);   // that is in the logs
  CHECK_THAT(text_of(place.path / "two/device-1.log"), contains("epoch   train loss"));
  CHECK_THAT(text_of(place.path / "two/device-2.log"), contains("epoch   train loss"));

  // With pruning: the same trials are given up each time, and after kills.
  const Ran pruned = place.run("sweep some.toml --data faces --device 0,0 --run whole");
  INFO(pruned.out << pruned.err);
  REQUIRE(pruned.status == 0);
  CHECK_THAT(text_of(place.path / "whole/table.csv"), contains("pruned"));
  int killed = 0;
  for (int life = 0; life < 60; ++life) {
    const Ran again = place.run_killed_after(0.3 + 0.3 * life, "sweep some.toml --data faces --device 0,0 --run parts");
    if (again.status == 0) break;
    REQUIRE(again.status == 137);
    ++killed;
  }
  CHECK(killed >= 2);
  REQUIRE(place.run("sweep some.toml --data faces --device 0,0 --run parts").status == 0);
  CHECK(text_of(place.path / "parts/table.csv") == text_of(place.path / "whole/table.csv"));
  expect_refused(place, "sweep some.toml --data faces --device 0 --run whole", "got 1, expected 2 as when the sweep was begun");
  expect_refused(place, "sweep some.toml --data faces --device 0,,0 --run other", "with commas between them");
  expect_refused(place, "sweep some.toml --data faces --device 0,77 --run third", "77");
  expect_refused(place, "train --data faces --device 0,0", "0,0");
}
