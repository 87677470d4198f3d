#pragma once
// A server of HTTP for a few clients, some of which may be hostile: one thread waits for all sockets at once, so that a slow client costs
// a socket and nothing else; and everything it holds or waits for is bounded.
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tools/serve/http.h"

namespace vkfer {

struct ServerLimits {
  using Milliseconds = std::chrono::milliseconds;
  size_t head_bytes = size_t{16} << 10;
  size_t body_bytes = size_t{16} << 20;
  size_t arriving_bytes = size_t{64} << 20;   // of all connections together
  size_t connections = 64;                    // at once; one more takes the place of the one that is nearest to its deadline
  Milliseconds head{10'000}, body{30'000};    // for all of it to arrive, however small the pieces
  Milliseconds send{30'000};                  // for a response to be taken
  Milliseconds idle{60'000};                  // until the next request
  Milliseconds linger{2'000};                 // for a client to read why it was refused, while it still sends
};

// Answers one request, once, from any thread; ignored when the client is gone.
using HttpReply = std::function<void(HttpResponse)>;

class HttpServer {
 public:
  // Called on the thread of run(): what takes long goes elsewhere, with the reply. What it throws is answered: HttpRefusal as it says,
  // anything else with 500.
  using Handler = std::function<void(HttpRequest, HttpReply)>;

  // Listens; port 0: any that is free. Fails where it cannot.
  HttpServer(const std::string& host, int port, const ServerLimits&, Handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;

  int port() const { return port_; }
  bool only_this_machine() const { return loopback_; }
  std::string url() const;                    // "http://127.0.0.1:8080/"

  // Until `stop` says so, which is asked several times a second; then what is being answered has three seconds to end.
  void run(const std::function<bool()>& stop);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase { head, body, working, sending, lingering };
  struct Connection {
    int socket = -1;
    uint64_t id = 0;
    Phase phase = Phase::head;
    std::string in, out;
    size_t sent = 0;
    HttpHead head;
    bool keep_alive = true, answers_head = false;
    Clock::time_point deadline;
  };
  struct Mailbox;                             // responses on their way from other threads

  void listen_on(const std::string& host, int port);
  void accept_some();
  void drop_nearest();
  void take_replies();
  void serve(Connection&, short events);
  void receive(Connection&);
  void advance(Connection&);                  // with what has arrived
  void begin_body(Connection&);
  void hand_over(Connection&);
  void refuse(Connection&, const HttpRefusal&);
  void respond(Connection&, const HttpResponse&);
  void send_some(Connection&);
  void next_request(Connection&);
  void expire();
  void close(Connection&);
  void wait(bool accepting);

  const ServerLimits limits_;
  const Handler handler_;
  std::string host_;
  int listener_ = -1, port_ = 0;
  bool loopback_ = false;
  std::deque<Connection> connections_;        // socket -1: closed, to be removed
  std::shared_ptr<Mailbox> mailbox_;
  uint64_t next_id_ = 1;
};

}  // namespace vkfer
