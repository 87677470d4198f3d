// The server as whoever connects to it meets it, friend or foe. What it answers does not matter here: no network, no device.
#include <atomic>
#include <random>
#include <thread>

#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/http_client.h"
#include "tools/serve/form.h"
#include "tools/serve/own_host.h"
#include "tools/serve/server.h"

using namespace vkfer;
using namespace vkfer::test;
using namespace std::chrono_literals;

namespace {

// Of what refuses, the status; 0: nothing does.
template <class Work>
int refused_with(const Work& work) {
  try {
    work();
    return 0;
  } catch (const HttpRefusal& refusal) {
    CHECK(refusal.response().status == refusal.status);
    return refusal.status;
  }
}

int refused_head(const std::string& bytes, size_t most = 16384) {
  INFO(bytes.substr(0, 200));
  return refused_with([&] { parse_head(bytes, most); });
}

// A server whose answer is the request's path and body; "/throw" throws, "/refuse" refuses, "/large" has 8 MB, "/later" is answered by
// another thread, and "/never" never.
class Echo {
 public:
  explicit Echo(const ServerLimits& limits = {}) : server_("127.0.0.1", 0, limits, [this](HttpRequest r, HttpReply reply) { answer(std::move(r), std::move(reply)); }) {
    thread_ = std::thread([this] { server_.run([this] { return stop_.load(); }); });
  }
  ~Echo() {
    stop();
    for (std::thread& t : later_) t.join();
  }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int port() const { return server_.port(); }
  // It does its work, for somebody who comes now.
  bool lives() {
    HttpClient client(port());
    const HttpAnswer a = client.ask(get("/alive"));
    return a.status == 200 && a.body == "/alive";
  }

 private:
  void answer(HttpRequest request, HttpReply reply) {
    if (request.path == "/throw") throw std::runtime_error("a \"bug\"\n");
    if (request.path == "/refuse") throw HttpRefusal(503, "later", {{"Retry-After", "1"}});
    if (request.path == "/never") return;
    if (request.path == "/large") return reply({.body = std::string(size_t{8} << 20, 'x')});
    if (request.path == "/later") {
      later_.emplace_back([reply] { std::this_thread::sleep_for(200ms), reply({.body = "later"}), reply({.body = "twice"}); });
      return;
    }
    reply({.type = "text/plain", .body = request.path + request.body});
  }
  std::atomic<bool> stop_{false};
  std::vector<std::thread> later_;
  HttpServer server_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("serve: a head is HTTP to the letter, or refused", "[serve]") {
  const std::string good = "POST /a/b?c=d&e HTTP/1.1\r\nHost: localhost:80\r\nContent-LENGTH: 12\r\nX-Y:  \t z z \t\r\n\r\nbody and more";
  const std::optional<HttpHead> head = parse_head(good, 16384);
  REQUIRE(head);
  CHECK(head->request.method == "POST");
  CHECK(head->request.path == "/a/b");
  CHECK(head->request.query == "c=d&e");
  CHECK(head->request.header("x-y") == "z z");
  CHECK(head->request.header("nothing").empty());
  CHECK(head->bytes == good.size() - 13);
  CHECK(head->body_bytes == 12);
  CHECK(head->keep_alive);
  for (size_t n = 0; n < head->bytes; ++n) CHECK_FALSE(parse_head(std::string_view(good).substr(0, n), 16384));
  CHECK_FALSE(parse_head("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", 16384)->keep_alive);
  CHECK_FALSE(parse_head("GET / HTTP/1.0\r\n\r\n", 16384)->keep_alive);
  CHECK(parse_head("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n", 16384)->expects_continue);

  const std::string host = "Host: a\r\n";
  for (const char* line : {"GET /", "GET  HTTP/1.1", "GET a HTTP/1.1", "GET http://a/ HTTP/1.1", "GET / /b HTTP/1.1", "G\x01T / HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /\xff HTTP/1.1", "GET / HTTPS/1.1", ""})
    CHECK(refused_head(std::string(line) + "\r\n" + host + "\r\n") == 400);
  CHECK(refused_head(std::string("GET /a\0b HTTP/1.1\r\n", 19)) == 400);
  CHECK(refused_head("\x16\x03\x01") == 400);                                 // somebody tries TLS
  CHECK(refused_head("get / HTTP/1.1\r\n") == 400);
  CHECK(refused_head("GET / HTTP/2.0\r\n") == 505);
  CHECK(refused_head("GET /" + std::string(3000, 'a') + " HTTP/1.1\r\n") == 414);
  CHECK(refused_head("GET / HTTP/1.1\n" + host + "\n") == 400);
  CHECK(refused_head("GET / HTTP/1.1\r\n\r\n") == 400);                         // no host
  CHECK(refused_head("GET / HTTP/1.1\r\n" + host + host + "\r\n") == 400);
  for (const char* line : {"nothing", ": value", "a b: c", " folded: x", "a: b\rc", "a: \x01"}) CHECK(refused_head("GET / HTTP/1.1\r\n" + host + line + "\r\n\r\n") == 400);
  CHECK(refused_head(std::string("GET / HTTP/1.1\r\na: \0\r\n", 22)) == 400);
  CHECK(refused_head("GET / HTTP/1.1\r\nA: " + std::string(20000, 'a')) == 431);
  CHECK(refused_head(std::string(20000, 'A')) == 431);
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 200; ++i) many += "A: b\r\n";
  CHECK(refused_head(many) == 431);
  const std::string post_head = "POST / HTTP/1.1\r\n" + host;
  CHECK(refused_head(post_head + "\r\n") == 411);
  CHECK(refused_head(post_head + "Transfer-Encoding: chunked\r\n\r\n") == 411);
  CHECK(refused_head(post_head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n") == 411);
  for (const char* length : {"-1", "+1", "1 ", "0x10", "1,1", "", "one"}) {
    const int status = refused_head(post_head + "Content-Length: " + length + "\r\n\r\n");
    CHECK(status == (std::string_view(length) == "1 " ? 0 : 400));            // blanks at the end belong to the line
  }
  CHECK(refused_head(post_head + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n") == 400);
  CHECK(refused_head(post_head + "Content-Length: 99999999999999999999999\r\n\r\n") == 413);
  CHECK(refused_head(post_head + "Content-Length: 1\r\nExpect: much\r\n\r\n") == 417);
}

TEST_CASE("serve: pictures in a form, or as the body", "[serve]") {
  const auto request = [](const char* type, std::string body) { return HttpRequest{.method = "POST", .path = "/", .headers = {{"content-type", type}}, .body = std::move(body)}; };
  const std::string part = "--xy\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\\\"; b.png\"\r\nContent-Type: image/png\r\n\r\n\r\n--x\r\n",
                    other = "\r\n--xy\r\ncontent-disposition: form-data; name=note\r\n\r\nhello", end = "\r\n--xy--\r\n";
  const HttpRequest both = request("multipart/form-data; boundary=xy", part + other + end);
  const std::vector<Upload> uploads = uploads_of(both, 4);
  REQUIRE(uploads.size() == 1);
  CHECK(uploads[0].name == "a\"; b.png");
  CHECK(uploads[0].bytes == "\r\n--x\r\n");
  CHECK(uploads_of(request("Multipart/Form-Data; charset=x; boundary=\"xy\"", part + end), 4).size() == 1);
  for (const char* type : {"image/png", "application/octet-stream", "application/x-www-form-urlencoded", ""}) CHECK(uploads_of(request(type, "abc"), 4)[0].bytes.size() == 3);

  const auto refused = [&](const char* type, const std::string& body) {
    INFO(type << "\n" << body.substr(0, 300));
    return refused_with([&] { uploads_of(request(type, body), 2); });
  };
  const char* form = "multipart/form-data; boundary=xy";
  CHECK(refused("application/json", "{}") == 415);
  CHECK(refused("text/plain", "x") == 415);
  CHECK(refused("image/png", "") == 400);
  for (const char* type : {"multipart/form-data", "multipart/form-data; boundary", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"", "multipart/form-data;;;=;=\""}) CHECK(refused(type, part + end) == 400);
  CHECK(refused(("multipart/form-data; boundary=" + std::string(71, 'x')).c_str(), part + end) == 400);
  CHECK(refused(form, "") == 400);
  CHECK(refused(form, "--xy--\r\n") == 400);
  CHECK(refused(form, "--x") == 400);
  CHECK(refused(form, "--xy\r\n\r\n\r\n") == 400);
  CHECK(refused(form, other.substr(2) + end) == 400);      // no picture
  CHECK(refused(form, part) == 400);                      // no end
  CHECK(refused(form, "--xy\r\nContent-Disposition: form-data; name=\"image\"") == 400);
  CHECK(refused(form, "--xy\r\nA: " + std::string(10000, 'a') + "\r\n\r\nx" + end) == 400);
  CHECK(refused(form, part + "\r\n" + part + "\r\n" + part + end) == 413);
  // Cut or changed anywhere, it is read or refused, and nothing else.
  std::mt19937 random(3);
  const std::string whole = part + other + end;
  for (int i = 0; i < 3000; ++i) {
    std::string bad = whole.substr(0, random() % (whole.size() + 1));
    for (int n = int(random() % 4); n > 0 && !bad.empty(); --n) bad[random() % bad.size()] = char(random());
    const int status = refused(form, bad);
    CHECK((status == 0 || status == 400 || status == 413));
  }
}

TEST_CASE("serve: other sites in the browser", "[serve]") {
  const auto status = [](const char* method, const char* host, const char* origin, bool only_this_machine = true) {
    HttpRequest r{.method = method, .path = "/", .headers = {{"host", host}}};
    if (*origin) r.headers.emplace_back("origin", origin);
    return refused_with([&] { check_own_host(r, only_this_machine); });
  };
  for (const char* host : {"localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.1.2.3", "[::1]:80", "[::1]"}) CHECK(status("GET", host, "") == 0);
  for (const char* host : {"evil.com", "evil.com:8080", "127.0.0.1.evil.com", "localhost.evil.com", "[::2]", "0.0.0.0", "192.168.1.1:80"}) {
    CHECK(status("GET", host, "") == 403);
    CHECK(status("GET", host, "", false) == 0);
  }
  CHECK(status("POST", "localhost:80", "http://localhost:80") == 0);
  CHECK(status("POST", "localhost:80", "https://LOCALHOST:80") == 0);
  CHECK(status("POST", "localhost:80", "http://evil.com") == 403);
  CHECK(status("POST", "localhost:80", "http://localhost:81") == 403);
  CHECK(status("POST", "localhost:80", "null") == 403);
  CHECK(status("POST", "box:80", "http://evil.com", false) == 403);
}

TEST_CASE("server: answers, one after the other on a connection and from any thread", "[serve]") {
  Echo server;
  HttpClient client(server.port());
  CHECK(client.ask(get("/a")).body == "/a");
  CHECK(client.ask(post("/b", "body")).body == "/bbody");
  const HttpAnswer head = client.send("HEAD /c HTTP/1.1\r\nHost: a\r\n\r\n") ? client.answer(true) : HttpAnswer{};
  CHECK_THAT(head.head, contains("200 OK") && contains("Content-Length: 2") && contains("default-src 'none'") && contains("frame-ancestors 'none'") && contains("nosniff") && contains("no-store"));
  std::string many;
  for (int i = 0; i < 300; ++i) many += i % 3 ? get("/" + std::to_string(i)) : post("/" + std::to_string(i), "x");
  REQUIRE(client.send(many));
  for (int i = 0; i < 300; ++i) REQUIRE(client.answer().body == "/" + std::to_string(i) + (i % 3 ? "" : "x"));
  CHECK(client.ask(get("/throw")).body == "{\"error\":\"a \\\"bug\\\"\\n\"}\n");
  many.clear();
  for (int i = 0; i < 4000; ++i) many += get("/refuse");
  std::thread sender([&] { client.send(many); });
  for (int i = 0; i < 4000; ++i) REQUIRE(client.answer().status == 503);
  sender.join();
  CHECK(client.ask(get("/later")).body == "later");
  CHECK(client.ask(get("/a")).body == "/a");
  CHECK(client.ask(post("/d", "", "Expect: 100-continue\r\n")).status == 200);   // there is nothing to continue with
  REQUIRE(client.send("POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
  CHECK(client.answer().status == 100);
  CHECK(client.ask("abc").body == "/eabc");
  CHECK(client.ask("GET /f HTTP/1.0\r\n\r\n").body == "/f");
  CHECK(client.hung_up());

  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 16; ++t)
    threads.emplace_back([&, t] {
      HttpClient mine(server.port());
      for (int i = 0; i < 100; ++i) {
        const std::string text = std::to_string(t * 1000 + i);
        right += mine.ask(post("/", text)).body == "/" + text;
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(right == 1600);
}

TEST_CASE("server: what is hostile is refused or dropped, and others are served", "[serve]") {
  Echo server({.head_bytes = 4096, .body_bytes = 100'000, .arriving_bytes = 400'000, .connections = 12, .head = 2s, .body = 2s, .send = 2s, .idle = 2s, .linger = 2s});
  const auto status = [&](const std::string& bytes) {
    HttpClient client(server.port());
    client.send(bytes);
    const int got = client.answer().status;
    CHECK(client.hung_up());
    return got;
  };
  SECTION("too large, and malformed") {
    CHECK(status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n" + std::string(100'001, 'x')) == 413);
    CHECK(status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n") == 413);
    CHECK(status("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx") == 411);
    CHECK(status("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n") == 431);
    CHECK(status("\x16\x03\x01\x02\x00\x01\x00\x01") == 400);
    CHECK(status("GET / HTTP/1.1\r\n" + std::string(64, '\0') + "\r\n\r\n") == 400);
    CHECK(status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 505);
  }
  SECTION("slow: its time is over, whatever it goes on sending") {
    const auto trickle = [&](const std::string& start) {
      HttpClient client(server.port());
      client.send(start);
      for (int i = 0; i < 1000 && client.send("x"); ++i) std::this_thread::sleep_for(20ms);
      return client.answer().status;
    };
    // A reset may overtake the answer where the client never stops sending.
    for (const char* start : {"GET / HT", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n"}) {
      const int got = trickle(start);
      CHECK((got == 408 || got == 0));
      CHECK(status(start) == 408);
    }
    HttpClient silent(server.port());
    CHECK(silent.hung_up());
    HttpClient idle(server.port());
    CHECK(idle.ask(get("/a")).status == 200);
    CHECK(idle.hung_up());
  }
  SECTION("many, of all kinds, while others are served") {
    std::vector<HttpClient> slow;
    for (int i = 0; i < 60; ++i) {
      HttpClient& c = slow.emplace_back(server.port());
      const char* starts[] = {"", "GET / HTTP/1.1\r\nX", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n"};
      c.send(i % 4 == 3 ? get("/large") : starts[i % 4]);   // and never reads it
      CHECK(server.lives());
    }
  }
  SECTION("bodies that arrive all at once are bounded together") {
    Echo patient({.body_bytes = 100'000, .arriving_bytes = 400'000});
    std::vector<HttpClient> clients;
    for (int i = 0; i < 8; ++i) clients.emplace_back(patient.port(), 100).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + std::string(99'000, 'x'));
    int refused = 0;
    for (int i = 0; i < 40 && refused < 4; ++i)
      for (HttpClient& c : clients) refused += c.answer().status == 503;
    CHECK(refused >= 4);
    CHECK(patient.lives());
  }
  SECTION("gone before the answer, and work that never ends") {
    for (int i = 0; i < 8; ++i) {
      HttpClient(server.port()).send(get(i % 2 ? "/later" : "/large"));
      HttpClient(server.port()).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    }
    std::vector<HttpClient> waiting;
    for (int i = 0; i < 10; ++i) waiting.emplace_back(server.port()).send(get("/never"));
    CHECK(server.lives());
    waiting.clear();
  }
  SECTION("noise") {
    std::mt19937 random(7);
    const std::string good = post("/a?b=c", "body", "Expect: 100-continue\r\nConnection: keep-alive\r\n") + get("/later");
    for (int i = 0; i < 300; ++i) {
      std::string bytes = good;
      for (int n = 1 + int(random() % 8); n > 0; --n) bytes[random() % bytes.size()] = char(random());
      if (i % 5 == 0)
        for (char& c : bytes) c = char(random());
      HttpClient client(server.port());
      client.send(std::string_view(bytes).substr(0, random() % bytes.size()));
    }
  }
  CHECK(server.lives());
}

TEST_CASE("server: it ends when it is told to, whoever hangs on", "[serve]") {
  Echo server;
  HttpClient idle(server.port()), half(server.port()), never(server.port()), large(server.port()), later(server.port());
  CHECK(idle.ask(get("/a")).status == 200);
  half.send("GET /");
  never.send(get("/never"));
  large.send(get("/large"));
  later.send(get("/later"));
  CHECK(server.lives());
  server.stop();
  CHECK(idle.hung_up());
  CHECK(half.hung_up());
  CHECK(later.answer().body == "later");   // what was being answered is
  CHECK_THROWS_WITH(HttpServer("127.0.0.1", server.port(), {}, {}), contains("[--port]") && contains("in use already. Fix: --port 0"));
  CHECK_THROWS_WITH(HttpServer("a b", 0, {}, {}), contains("[--host]"));
  CHECK_THROWS_WITH(HttpServer("203.0.113.9", 0, {}, {}), contains("cannot listen on 203.0.113.9") && contains("Fix:"));
  try {
    HttpServer six("::1", 0, {}, {});
    CHECK(six.only_this_machine());
    CHECK(six.url() == fmt::format("http://[::1]:{}/", six.port()));
  } catch (const Error& e) {   // a machine without IPv6
    WARN(e.what());
  }
  CHECK_FALSE(HttpServer("0.0.0.0", 0, {}, {}).only_this_machine());
}
