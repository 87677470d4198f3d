#include "tools/serve/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr int kTickMilliseconds = 100;        // how late a deadline or a wish to stop may be noticed
constexpr int kAcceptedAtOnce = 16, kBacklog = 128;
constexpr size_t kReadBytes = size_t{64} << 10;
constexpr std::chrono::seconds kEnding{3};

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) return (ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24) == 127;
  return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

[[noreturn]] void fail_listening(const std::string& host, int port, int error) {
  if (error == EADDRINUSE) fail("--port", "{}:{} is in use already. Fix: --port 0 takes one that is free, or end what listens there", host, port);
  if (error == EACCES) fail("--port", "{}:{}: {}. Fix: a port above 1023, as --port 8080", host, port, std::strerror(error));
  fail("--host", "cannot listen on {}:{}: {}. Fix: --host 127.0.0.1, or an address of this machine", host, port, std::strerror(error));
}

}  // namespace

struct HttpServer::Mailbox {
  std::mutex mutex;
  std::vector<std::pair<uint64_t, HttpResponse>> replies;
  const int wake = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  ~Mailbox() { ::close(wake); }

  void put(uint64_t id, HttpResponse response) {
    const std::lock_guard lock(mutex);
    replies.emplace_back(id, std::move(response));
    const uint64_t one = 1;
    if (::write(wake, &one, sizeof one) < 0) return;   // it is full of wake-ups already
  }
  std::vector<std::pair<uint64_t, HttpResponse>> take() {
    const std::lock_guard lock(mutex);
    uint64_t count = 0;
    if (::read(wake, &count, sizeof count) < 0 && replies.empty()) return {};
    return std::exchange(replies, {});
  }
};

HttpServer::HttpServer(const std::string& host, int port, const ServerLimits& limits, Handler handler)
    : limits_(limits), handler_(std::move(handler)), host_(host), mailbox_(std::make_shared<Mailbox>()) {
  if (mailbox_->wake < 0) fail("serve", "eventfd: {}", std::strerror(errno));
  listen_on(host, port);
}

HttpServer::~HttpServer() {
  for (Connection& c : connections_) close(c);
  if (listener_ >= 0) ::close(listener_);
}

void HttpServer::listen_on(const std::string& host, int port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  if (const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found))
    fail("--host", "'{}': {}. Fix: --host 127.0.0.1, or an address of this machine", host, ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* a = found; a && listener_ < 0; a = a->ai_next) {
    const int socket = ::socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
    if (socket >= 0) ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (socket >= 0 && ::bind(socket, a->ai_addr, a->ai_addrlen) == 0 && ::listen(socket, kBacklog) == 0) {
      listener_ = socket;
      loopback_ = is_loopback(a->ai_addr);
    } else {
      error = errno;
      if (socket >= 0) ::close(socket);
    }
  }
  if (listener_ < 0) fail_listening(host, port, error);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size);
  port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port : reinterpret_cast<sockaddr_in&>(bound).sin_port);
}

std::string HttpServer::url() const {
  return host_.find(':') == std::string::npos ? fmt::format("http://{}:{}/", host_, port_) : fmt::format("http://[{}]:{}/", host_, port_);
}

void HttpServer::run(const std::function<bool()>& stop) {
  while (!stop()) wait(true);
  for (Connection& c : connections_)
    if (c.phase != Phase::working && c.phase != Phase::sending) close(c);
  const auto end = Clock::now() + kEnding;
  const auto unfinished = [&] {
    return std::any_of(connections_.begin(), connections_.end(), [](const Connection& c) { return c.socket >= 0 && (c.phase == Phase::working || c.phase == Phase::sending); });
  };
  while (unfinished() && Clock::now() < end) wait(false);
}

void HttpServer::wait(bool accepting) {
  std::erase_if(connections_, [](const Connection& c) { return c.socket < 0; });
  std::vector<pollfd> waited{{mailbox_->wake, POLLIN, 0}, {accepting ? listener_ : -1, POLLIN, 0}};
  for (const Connection& c : connections_) {
    const short events = c.phase == Phase::working ? short(0) : c.phase == Phase::sending ? short(POLLOUT) : short(POLLIN);
    waited.push_back({c.socket, events, 0});
  }
  if (::poll(waited.data(), waited.size(), kTickMilliseconds) < 0) return;   // a signal, which `stop` knows of
  for (size_t i = 0; i < connections_.size(); ++i)
    if (waited[i + 2].revents) serve(connections_[i], waited[i + 2].revents);
  if (waited[1].revents) accept_some();
  take_replies();
  expire();
}

void HttpServer::accept_some() {
  for (int n = 0; n < kAcceptedAtOnce; ++n) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC), yes = 1;
    if (socket < 0 && (errno == EMFILE || errno == ENFILE)) drop_nearest();
    if (socket < 0) return;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connections_.size() >= limits_.connections) drop_nearest();
    Connection& c = connections_.emplace_back();
    c.socket = socket;
    c.id = next_id_++;
    c.deadline = Clock::now() + limits_.head;   // it came to ask something
  }
}

// The one that is nearest to its deadline makes room. Requests that are being worked at are never given up, and those are few: the queue
// behind the handler is short.
void HttpServer::drop_nearest() {
  const auto droppable = [](const Connection& c) { return c.socket >= 0 && c.phase != Phase::working; };
  Connection* nearest = nullptr;
  for (Connection& c : connections_)
    if (droppable(c) && (!nearest || c.deadline < nearest->deadline)) nearest = &c;
  if (nearest) close(*nearest);
  std::erase_if(connections_, [](const Connection& c) { return c.socket < 0; });
}

void HttpServer::take_replies() {
  for (auto& [id, response] : mailbox_->take())
    for (Connection& c : connections_)
      if (c.id == id && c.socket >= 0 && c.phase == Phase::working) respond(c, response);
}

void HttpServer::serve(Connection& c, short events) {
  if (events & (POLLERR | POLLNVAL)) return close(c);
  if ((events & POLLHUP) && !(events & POLLIN)) return close(c);
  if (c.phase == Phase::sending) return send_some(c);
  if (c.phase != Phase::working) receive(c);
}

void HttpServer::receive(Connection& c) {
  char bytes[kReadBytes];
  // Never more than the body that is being waited for: what follows stays in the kernel.
  const size_t most = c.phase == Phase::body ? std::min(kReadBytes, c.head.bytes + c.head.body_bytes - c.in.size()) : kReadBytes;
  const ssize_t got = ::recv(c.socket, bytes, most, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return close(c);
  if (c.phase == Phase::lingering) return;
  if (c.phase == Phase::head && c.in.empty()) c.deadline = std::min(c.deadline, Clock::now() + limits_.head);
  c.in.append(bytes, size_t(got));
  advance(c);
}

void HttpServer::advance(Connection& c) {
  try {
    if (c.phase == Phase::head) {
      std::optional<HttpHead> head = parse_head(c.in, limits_.head_bytes);
      if (!head) return;
      c.head = std::move(*head);
      begin_body(c);
    }
    if (c.phase == Phase::body && c.in.size() >= c.head.bytes + c.head.body_bytes) return hand_over(c);
    size_t arriving = 0;
    for (const Connection& other : connections_) arriving += other.in.size();
    if (arriving > limits_.arriving_bytes) throw HttpRefusal(503, "too much is being sent at once. Fix: try again", {{"Retry-After", "2"}});
  } catch (const HttpRefusal& refusal) {
    refuse(c, refusal);
  }
}

void HttpServer::begin_body(Connection& c) {
  c.answers_head = c.head.request.method == "HEAD";
  if (c.head.body_bytes > limits_.body_bytes)
    throw HttpRefusal(413, fmt::format("the body has {} bytes, expected at most {}. Fix: a smaller picture, or vkfer serve --max-megabytes", c.head.body_bytes, limits_.body_bytes));
  c.phase = Phase::body;
  c.deadline = Clock::now() + limits_.body;
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  if (c.head.expects_continue && c.in.size() == c.head.bytes && c.head.body_bytes > 0) {
    if (::send(c.socket, kContinue.data(), kContinue.size(), MSG_NOSIGNAL) < 0) return;   // the client sends its body after a while anyway
  }
}

void HttpServer::hand_over(Connection& c) {
  HttpRequest request = std::move(c.head.request);
  request.body = c.in.substr(c.head.bytes, c.head.body_bytes);
  c.in.erase(0, c.head.bytes + c.head.body_bytes);
  if (c.in.empty()) c.in.shrink_to_fit();
  c.keep_alive = c.head.keep_alive;
  c.phase = Phase::working;
  const HttpReply reply = [mailbox = mailbox_, id = c.id](HttpResponse response) { mailbox->put(id, std::move(response)); };
  try {
    handler_(std::move(request), reply);
  } catch (const HttpRefusal& refusal) {
    reply(refusal.response());   // the request was read to its end: the connection is sound
  } catch (const std::exception& e) {
    reply(HttpRefusal(500, e.what()).response());
  }
}

// Where the next request begins is not known any longer.
void HttpServer::refuse(Connection& c, const HttpRefusal& refusal) {
  c.keep_alive = false;
  c.in.clear();
  c.in.shrink_to_fit();
  respond(c, refusal.response());
}

void HttpServer::respond(Connection& c, const HttpResponse& response) {
  c.out = http_bytes(response, c.keep_alive, c.answers_head);
  c.sent = 0;
  c.phase = Phase::sending;
  c.deadline = Clock::now() + limits_.send;
  send_some(c);
}

void HttpServer::send_some(Connection& c) {
  const ssize_t sent = ::send(c.socket, c.out.data() + c.sent, c.out.size() - c.sent, MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (sent < 0) return close(c);
  c.sent += size_t(sent);
  if (c.sent == c.out.size()) next_request(c);
}

void HttpServer::next_request(Connection& c) {
  c.out.clear();
  c.out.shrink_to_fit();
  c.answers_head = false;
  if (!c.keep_alive) {
    // Closed at once, with bytes of the client unread, the connection would be reset and the response be lost with it.
    ::shutdown(c.socket, SHUT_WR);
    c.phase = Phase::lingering;
    c.deadline = Clock::now() + limits_.linger;
    return;
  }
  c.phase = Phase::head;
  c.deadline = Clock::now() + (c.in.empty() ? limits_.idle : limits_.head);
  if (!c.in.empty()) advance(c);
}

void HttpServer::expire() {
  const auto now = Clock::now();
  for (Connection& c : connections_) {
    if (c.socket < 0 || c.phase == Phase::working || now < c.deadline) continue;
    const bool asks = c.phase == Phase::body || (c.phase == Phase::head && !c.in.empty());
    if (asks)
      refuse(c, HttpRefusal(408, "the request did not arrive in time"));
    else
      close(c);
  }
}

void HttpServer::close(Connection& c) {
  if (c.socket >= 0) ::close(c.socket);
  c.socket = -1;
  c.in = {}, c.out = {};
}

}  // namespace vkfer
