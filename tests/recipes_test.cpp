// Recipes: every built-in one resolves, builds its network and has the published parameters; files are merged, and checked.
#include "tools/train/recipe.h"

#include <fstream>
#include <set>

#include "models/registry.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/scratch.h"
#include "tests/workplace.h"
#include "tools/data/philox.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;

namespace {

ModelSummary summary_of(const TrainSettings& s, int classes) {
  const TrainSettings r = resolve_settings(s, 0);
  ModelOptions o;
  o.size = r.size, o.channels = r.channels, o.classes = classes, o.dropout = r.dropout;
  o.head = r.head, o.freeze = r.freeze, o.valence_arousal = r.valence_arousal;
  return summarise(find_model(r.model), o);
}

TrainSettings settings_of(const Recipe& r) {
  TrainSettings s;
  apply_settings(r.settings, s);
  return s;
}

// What a line is refused with.
std::string refused(const std::string& lines, const std::string& title = "title = 't'\n") {
  try {
    recipe_from_text(title + lines, "x.toml");
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

}  // namespace

TEST_CASE("recipes: every built-in one resolves, and its network is the study's", "[recipes]") {
  // Parameters as the studies print them; R0 and R4a count running statistics.
  struct Known {
    int classes;
    int64_t parameters, trainable;
    bool with_statistics = false;
  };
  const std::map<std::string, Known> known{
      {"r0-resnet50", {8, 24'835'082, 1'247'370, true}}, {"r0-vgg16", {8, 15'175'626, 460'938, true}},
      {"r1-resnet50", {7, 23'526'473, 0}}, {"r1-resnet50-v2", {7, 23'526'473, 0}}, {"r1-resnet50-v2-15", {7, 23'526'473, 0}}, {"r2-vgg19", {7, 20'027'975, 0}},
      {"r2-random-init", {7, 20'027'975, 0}}, {"r3-vgg16", {8, 0, 133'384}}, {"r3-mobilenetv2", {8, 0, 329'992}},
      {"r3-vgg16-va", {0, 0, 131'842}}, {"r3-mobilenetv2-va", {0, 0, 328'450}},
      {"r4-vgg16", {7, 14'735'879, 7'099'399, true}}, {"r4-compact-resnet", {7, 481'551, 0}},
      {"r4-compact-mobilenetv2", {7, 132'935, 0}}};
  std::set<std::string> seen;
  for (const BuiltinRecipe& builtin : builtin_recipes()) {
    INFO(builtin.name);
    const Recipe r = load_recipe(std::string(builtin.name));
    CHECK(r.name == builtin.name);
    CHECK(builtin.text == text_of(fs::path(VKFER_FIXTURES) / "../../recipes" / (r.name + ".toml")));
    CHECK_FALSE(r.title.empty());
    CHECK_FALSE(r.study.empty());
    CHECK(r.settings.contains("model"));
    CHECK(seen.insert(r.fingerprint).second);
    const TrainSettings s = settings_of(r);
    CHECK_NOTHROW(check_settings(s));
    const auto it = known.find(r.name);
    const ModelSummary m = summary_of(s, it == known.end() ? 7 : it->second.classes);
    CHECK(m.trainable > 0);
    seen.insert(r.name);
    if (it == known.end()) continue;
    const auto& [classes, parameters, trainable, with_statistics] = it->second;
    if (parameters) CHECK(m.parameters + (with_statistics ? m.running_statistics : 0) == parameters);
    if (trainable) CHECK(m.trainable == trainable);
    if (r.published.contains("parameters")) CHECK(r.published.at("parameters") == parameters);
    if (r.published.contains("trainable_parameters")) CHECK(r.published.at("trainable_parameters") == trainable);
  }
  for (const auto& [name, what] : known) CHECK(seen.count(name));
  for (const fs::directory_entry& file : fs::directory_iterator(fs::path(VKFER_FIXTURES) / "../../recipes"))
    CHECK((file.path().extension() == ".md" || seen.count(file.path().stem().string())));
  CHECK(seen.count("recommended"));
  CHECK(load_recipe("r2-random-init").needs == "");
  CHECK(load_recipe("r2-focal-5").needs == "imagenet");
  CHECK(load_recipe("r4-compact-mobilenetv2").study == "study R4");
}

TEST_CASE("recipes: settings by their names, in sections or not, and the command line's spellings", "[recipes]") {
  const Recipe r = recipe_from_text(
      "title = 'all kinds'\nepochs = 3\nvalence-arousal = true\n[training]\nlr = 1\nweight-decay = 1e-2\nseed = 18_446\n[loss]\nclass_weights = '1,2'\n"
      "[augmentation]\nflip = false\nrotate = 5\n[network]\nmodel = 'resnet18'\n[published]\naccuracy = 0.5\nf1 = [0.5, 1]\nsplit = 'test'\n", "x.toml");
  const TrainSettings s = settings_of(r);
  CHECK(s.epochs == 3);
  CHECK(s.valence_arousal);
  CHECK(s.lr == 1);
  CHECK(s.weight_decay == 0.01);
  CHECK(s.seed == 18446);
  CHECK(s.class_weights == "1,2");
  CHECK_FALSE(s.flip);
  CHECK(s.warp.rotate == 5);
  CHECK(s.model == "resnet18");
  CHECK(s.batch == TrainSettings().batch);
  CHECK(published_text(r.published) == "accuracy 0.5000 (test)");
  CHECK(r.settings.size() == 9);
  // The one list: whatever is a setting can stand in a recipe, and be given by --set.
  const Json defaults = settings_json(TrainSettings());
  for (const auto& [name, value] : defaults.items()) {
    INFO(name);
    CHECK(setting_named(name) == name);
    CHECK(recipe_from_text("title = 't'\n" + name + " = " + value.dump(), "x.toml").settings.at(name) == value);
    CHECK(parse_assignment(name + "=" + (value.is_string() ? value.get<std::string>() : value.dump())) == std::pair(name, value));
  }
  CHECK(setting_named("va") == "valence_arousal");
  CHECK(setting_named("no-flip") == "");
  CHECK(parse_assignment("optimizer=sgd") == std::pair<std::string, Json>("optimizer", "sgd"));
  CHECK(parse_assignment("flip=true") == std::pair<std::string, Json>("flip", true));
  CHECK_THROWS_WITH(parse_assignment("lr"), contains("expected NAME=VALUE"));
  CHECK_THROWS_WITH(parse_assignment("lrr=1"), contains("did you mean 'lr'?"));
  CHECK_THROWS_WITH(parse_assignment("batch=1.5"), contains("'batch': got 1.5, expected a whole number"));
  CHECK_THROWS_WITH(parse_assignment("batch="), contains("[toml]"));
}

TEST_CASE("recipes: what is wrong is named with its line", "[recipes]") {
  CHECK(refused("", "") == "[recipe] x.toml: no title. Fix: title = \"...\" on top");
  CHECK(refused("learning = 1") == "[recipe] x.toml:2: unknown key 'learning'. Fix: see docs/recipes.md");
  CHECK_THAT(refused("\n[training]\nbacth = 1"), contains("x.toml:4: unknown setting 'bacth'. Fix: did you mean 'batch'?"));
  CHECK_THAT(refused("tittle = 'x'"), contains("did you mean 'title'?"));
  CHECK_THAT(refused("[trainnig]\nlr = 1"), contains("x.toml:2: unknown section [trainnig]") && contains("did you mean 'training'?"));
  CHECK_THAT(refused("lr = 'fast'"), contains("x.toml:2: 'lr': got \"fast\", expected a number. Fix: lr = 0.5"));
  CHECK_THAT(refused("batch = 2.5"), contains("'batch': got 2.5, expected a whole number"));
  CHECK_THAT(refused("batch = 99999999999"), contains("'batch': got 99999999999, expected a whole number"));
  CHECK_THAT(refused("seed = -1"), contains("'seed': got -1, expected a whole number from 0"));
  CHECK_THAT(refused("flip = 1"), contains("'flip': got 1, expected true or false"));
  CHECK_THAT(refused("model = true"), contains("'model': got true, expected text"));
  CHECK_THAT(refused("optimizer = ['sgd']"), contains("got a list, expected text"));
  CHECK_THAT(refused("optimizer = 1979-05-27"), contains("got a date, expected text"));
  CHECK_THAT(refused("study = 4"), contains("x.toml:2: 'study': got 4, expected text"));
  CHECK_THAT(refused("[network]\nmodel = {a = 1}"), contains("got a table, expected text"));
  CHECK_THAT(refused("lr = 1\n[training]\nlr = 2"), contains("x.toml:4: 'lr' is there twice"));
  CHECK_THAT(refused("weight_decay = 1\nweight-decay = 2"), contains("'weight_decay' is there twice"));
  CHECK_THAT(refused("lr = 1\nlr = 2"), contains("[toml] x.toml:3") && contains("redefine"));
  CHECK_THAT(refused("model = 'mobilnetv2'"), contains("did you mean mobilenetv2?"));
  CHECK_THAT(refused("epochs = 0"), contains("x.toml: [--epochs] got 0"));
  CHECK_THAT(refused("lr = nan"), contains("[--lr] got nan"));
  CHECK_THAT(refused("no-flip = true"), contains("unknown key 'no-flip'"));
  CHECK_THAT(refused("needs = 'cifar'"), contains("'needs': got \"cifar\", expected \"imagenet\" or"));
  CHECK_THAT(refused("[published]\nacuracy = 1"), contains("x.toml:3: unknown figure 'acuracy'") && contains("did you mean 'accuracy'?"));
  CHECK_THAT(refused("[published]\naccuracy = 'good'"), contains("'accuracy': got \"good\", expected a number"));
  CHECK_THAT(refused("[published]\nf1 = [1, 'x']"), contains("'f1': got \"x\", expected a number"));
  CHECK_THAT(refused("published = 1"), contains("unknown key 'published'"));
  CHECK_THAT(refused("base = 'r9'"), contains("unknown recipe 'r9'"));
}

TEST_CASE("recipes: hostile text gets a message", "[recipes][hostile]") {
  const auto repeat = [](const std::string& text, int n) {
    std::string all;
    for (int i = 0; i < n; ++i) all += text;
    return all;
  };
  const std::vector<std::string> hostile{
      "lr = ", "= 1", "lr 1", "[", "[[[", "]", "\"", "lr = '", "notes = \"\"\"", "lr = 0x", "lr = 1__0", "a.", "[a", "[[a]]\n[a]", "lr = {", "lr = {a = 1,}",
      "lr = \"\\q\"", "lr = \"\\uD800\"", "title = '\xff\xfe'", "\xef\xbb\xbf\xff", std::string("lr = 1\0", 7), "lr\x01 = 1", "lr = 1 \x07",
      repeat("a.", 900) + "a = 1", "[" + repeat("a.", 900) + "a]\n" + repeat("b.", 900) + "b = 1", repeat("[", 1900), "lr = " + repeat("[\n", 100000),
      "lr = " + repeat("{a=", 500), "lr = " + repeat("[", 500) + repeat("]", 500), repeat("#", 3000), repeat("\n", 300000),
      repeat("[x]\n", 2), repeat("[[x]]\n", 9), "lr = " + repeat("9", 1000), "lr = 1e99999", "date = 9999-99-99", "[network.model]\nlr = 1",
      "[training.deep]\nlr = 1", "[[training]]\nlr = 1", "[training]\ntraining = {lr = 1}", "sweep = 1"};
  for (size_t i = 0; i < hostile.size(); ++i) {
    INFO(i << ": " << hostile[i].substr(0, 60));
    const std::string message = refused(hostile[i]);
    CHECK(message != "accepted");
    CHECK_THAT(message, contains("x.toml"));
    CHECK(message.size() < 1000);
  }
  CHECK(refused("# comment\r\nlr = 0.1\r\n") == "accepted");
  CHECK(refused("notes = '''\nü\n'''") == "accepted");
}

TEST_CASE("recipes: whatever becomes of the bytes of a good one, there is a recipe or a message", "[recipes][hostile]") {
  PhiloxSequence random(1, PhiloxStream::synthetic);
  const std::string parts[] = {"[", "]", "[[", "{", "}", "=", "\"", "\"\"\"", "'", "\n", ".", ",", "#", "\\", "\xff", "\xe2\x82", std::string(1, '\0'), "1e", "0x", "nan", "1979-05-27", "a.b.c"};
  int accepted = 0, refusals = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text(builtin_recipes()[random.below(uint32_t(builtin_recipes().size()))].text);
    for (uint32_t edit = 0; edit < 1 + random.below(4); ++edit) {
      const size_t at = random.below(uint32_t(text.size() + 1));
      switch (random.below(3)) {
        case 0: text.insert(at, parts[random.below(uint32_t(std::size(parts)))]); break;
        case 1: text.erase(at, 1 + random.below(30)); break;
        default: text.insert(at, text.substr(random.below(uint32_t(text.size())), random.below(60)));
      }
    }
    try {
      recipe_from_text(text, "x.toml");
      ++accepted;
    } catch (const Error& e) {
      CHECK(std::string(e.what()).size() < 2000);
      ++refusals;
    }
  }
  CHECK(accepted > 100);
  CHECK(refusals > 1000);
}

TEST_CASE("recipes: by name, by path, and one based on another", "[recipes]") {
  Scratch scratch;
  write(scratch.path / "mine.toml", "title = 'mine'\nbase = 'r2-vgg19'\nlr = 0.5\nneeds = 'nothing'\n");
  write(scratch.path / "his.toml", "title = 'his'\nbase = 'mine.toml'\nepochs = 2\nstudy = 'his own'\n");
  const Recipe mine = load_recipe((scratch.path / "mine.toml").string()), his = load_recipe((scratch.path / "his.toml").string());
  CHECK(mine.name == "mine");
  CHECK(mine.study == "study R2");
  CHECK(mine.needs == "");
  CHECK(settings_of(mine).lr == 0.5);
  CHECK(settings_of(mine).model == "vgg19");
  CHECK(mine.published.empty());
  CHECK(his.study == "his own");
  CHECK(settings_of(his).lr == 0.5);
  CHECK(settings_of(his).epochs == 2);
  CHECK(load_recipe("r2-vgg19").settings == load_recipe("recipes/r2-vgg19.toml").settings);
  CHECK(load_recipe("recipes/r2-vgg19.toml").name == "r2-vgg19");

  // A change of a base shows in what is based on it.
  write(scratch.path / "mine.toml", "title = 'mine'\nbase = 'r2-vgg19'\nlr = 0.6\n");
  CHECK(load_recipe((scratch.path / "his.toml").string()).fingerprint != his.fingerprint);

  write(scratch.path / "a.toml", "title = 'a'\nbase = './b.toml'\n");
  write(scratch.path / "b.toml", "title = 'b'\nbase = './a.toml'\n");
  CHECK_THROWS_WITH(load_recipe((scratch.path / "a.toml").string()), contains("is one its own base?"));
  CHECK_THROWS_WITH(load_recipe((scratch.path / "none.toml").string()), contains("no such file"));
  CHECK_THROWS_WITH(load_recipe("recipes/none.toml"), contains("no such file") && contains("vkfer recipes"));
  CHECK_THROWS_WITH(load_recipe("r2-vgg91"), contains("did you mean 'r2-vgg19'?"));
  CHECK_THROWS_AS(load_recipe(scratch.path.string() + "/"), Error);
  CHECK_THROWS_AS(load_recipe("/dev/zero.toml"), Error);
  CHECK_THROWS_AS(load_recipe("/dev/zero"), Error);
}

TEST_CASE("tool: recipes are listed and printed", "[recipes][cli]") {
  Workplace place;
  const Ran list = place.run("recipes");
  CHECK(list.status == 0);
  for (const BuiltinRecipe& r : builtin_recipes()) CHECK_THAT(list.out, contains(std::string(r.name)));
  CHECK_THAT(list.out, contains("accuracy 0.5736, macro F1 0.5032 (test)"));
  const Ran one = place.run("recipes r2-focal-2");
  CHECK_THAT(one.out, contains("focal-gamma = 2") && contains("#   lr = 0.0001"));
  std::ofstream(place.path / "again.toml") << one.out;  // what is printed is a recipe again
  CHECK(load_recipe((place.path / "again.toml").string()).settings == load_recipe("r2-focal-2").settings);
  CHECK(Json::parse(place.run("recipes again.toml --json").out).at("settings").at("focal_gamma") == 2.0);
  expect_refused(place, "recipes r2", "unknown recipe 'r2'");
}

TEST_CASE("tool: a recipe trains, the command line overrides it, the run remembers both", "[recipes][cli]") {
  Workplace place;
  draw_faces(place.path / "faces", 16);
  write(place.path / "mine.toml",
        "title = 'mine'\nstudy = 'a study'\n[network]\nmodel = 'compact_resnet'\nsize = 16\n[training]\nbatch = 4\nepochs = 2\nlr = 0.002\n"
        "optimizer = 'sgd'\n[augmentation]\nflip = false\n[published]\naccuracy = 0.25\nsplit = 'test'\n");
  const std::string train = "train --recipe mine.toml --data faces --lr 0.004 ";
  const Ran ran = place.run(train + "--set nesterov=true --run r");
  INFO(ran.err);
  REQUIRE(ran.status == 0);
  CHECK_THAT(ran.out, contains("from     mine, but lr 0.004") && contains("published, a study: accuracy 0.2500 (test)"));
  const Json config = Json::parse(text_of(place.path / "r/config.json"));
  const Json& s = config.at("settings");
  CHECK(s.at("model") == "compact_resnet");
  CHECK(s.at("optimizer") == "sgd");
  CHECK(s.at("lr") == 0.004);
  CHECK(s.at("flip") == false);
  CHECK(s.at("nesterov") == true);
  CHECK(config.at("recipe").at("name") == "mine");
  CHECK(config.at("recipe").at("overridden") == Json{{"lr", 0.004}});
  CHECK(config.at("recipe").at("fingerprint") == load_recipe((place.path / "mine.toml").string()).fingerprint);

  // The same settings one by one give the same weights.
  REQUIRE(place.run("train --model compact_resnet --size 16 --batch 4 --epochs 2 --lr 0.004 --optimizer sgd --nesterov --no-flip --data faces --run plain").status == 0);
  CHECK(text_of(place.path / "plain/model.safetensors") == text_of(place.path / "r/model.safetensors"));

  // Its own recipe agrees with a run, with what was given over it then; another must say nothing else.
  CHECK(place.run("train --recipe mine.toml --resume r").status == 0);
  CHECK(place.run(train + "--set nesterov=true --resume r").status == 0);
  expect_refused(place, "train --recipe mine.toml --lr 0.5 --resume r", "[--lr] got 0.5, but the run was started with 0.004");
  expect_refused(place, "train --recipe r4-compact-resnet --resume r", "[--recipe] 'size': got 48, but the run was started with 16");
  expect_refused(place, "train --set epochs=3 --resume r", "[--epochs] got 3, but the run was started with 2");
  write(place.path / "part.toml", "title = 'part'\nmodel = 'compact_resnet'\nbatch = 4\n");
  CHECK(place.run("train --recipe part.toml --resume r").status == 0);
  // Where there is no run yet, it begins one.
  REQUIRE(place.run(train + "--epochs 1 --resume new").status == 0);
  CHECK(Json::parse(text_of(place.path / "new/config.json")).at("settings").at("epochs") == 1);
}

TEST_CASE("tool: what a recipe needs is asked for, and what is not so is said", "[recipes][cli]") {
  Workplace place;
  draw_faces(place.path / "faces", 16);
  expect_refused(place, "train --recipe r3-vgg16 --data faces", "r3-vgg16 begins with ImageNet weights of vgg16, and none are given. Fix: --weights FILE");
  expect_refused(place, "train --recipe r3-vgg16 --data faces --from-scratch --weights x.pth", "give one of them");
  expect_refused(place, "train --recipe r3", "unknown recipe 'r3'");
  expect_refused(place, "train --recipe mine.toml", "mine.toml: no such file");
  expect_refused(place, "train --model compact_resnet --set lr=1 --lr 2", "'lr' is given twice");
  CHECK_FALSE(fs::exists(place.path / "runs"));
  const std::string train = "train --model compact_resnet --data faces --size 16 --batch 4 --epochs 1 ";
  const Ran frozen = place.run(train + "--freeze backbone --run a");
  CHECK(frozen.status == 0);
  CHECK_THAT(frozen.err, contains("what is frozen stays random"));
  // compact_resnet's weights take `half`: another input is possible, and said.
  const Ran other = place.run(train + "--weights a/model.safetensors --preprocessing none --run b");
  INFO(other.err);
  CHECK(other.status == 0);
  CHECK_THAT(other.err, contains("the weights take input preprocessed as 'half', and preprocessing is 'none'"));
  CHECK(Json::parse(text_of(place.path / "b/config.json")).at("network").at("preprocessing").at("name") == "none");
  const Ran same = place.run(train + "--weights a/model.safetensors --run c");
  CHECK(same.err.find("preprocess") == std::string::npos);
  CHECK(Json::parse(text_of(place.path / "c/config.json")).at("settings").at("preprocessing") == "half");
}
