#pragma once
// A client of HTTP that may send anything at all.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace vkfer::test {

struct HttpAnswer {
  int status = 0;          // 0: none came
  std::string head, body;
};

class HttpClient {
 public:
  explicit HttpClient(int port, int patience_milliseconds = 30'000) : socket_(::socket(AF_INET, SOCK_STREAM, 0)), patience_(patience_milliseconds) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(uint16_t(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  HttpClient(HttpClient&& other) noexcept : socket_(std::exchange(other.socket_, -1)), patience_(other.patience_), connected_(other.connected_), buffer_(std::move(other.buffer_)) {}
  ~HttpClient() { close(); }

  bool connected() const { return connected_; }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  // False when the server has hung up.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(size_t(sent));
    }
    return true;
  }
  // The next response; its status is 0 when the server hangs up first, or says nothing for as long as the patience lasts.
  HttpAnswer answer(bool to_head = false) {
    HttpAnswer a;
    size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
      if (!receive()) return a;
    a.head = buffer_.substr(0, end + 4);
    const size_t length = a.head.find("Content-Length:");
    const size_t bytes = to_head || length == std::string::npos ? 0 : size_t(std::atoll(a.head.c_str() + length + 15));
    while (buffer_.size() < end + 4 + bytes)
      if (!receive()) return {};
    a.body = buffer_.substr(end + 4, bytes);
    a.status = std::atoi(a.head.c_str() + 9);
    buffer_.erase(0, end + 4 + bytes);
    return a;
  }
  HttpAnswer ask(std::string_view bytes) { return send(bytes) ? answer() : HttpAnswer{}; }
  // True when the server closes the connection, having said nothing more.
  bool hung_up() {
    while (receive()) {}
    return ended_ && buffer_.empty();
  }

 private:
  bool receive() {
    pollfd waited{socket_, POLLIN, 0};
    if (::poll(&waited, 1, patience_) <= 0) return false;
    char bytes[16384];
    const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
    if (got <= 0) return ended_ = true, false;
    buffer_.append(bytes, size_t(got));
    return true;
  }
  int socket_, patience_;
  bool connected_ = false, ended_ = false;
  std::string buffer_;
};

inline std::string get(std::string_view path, std::string_view more = {}) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(more) + "\r\n";
}
inline std::string post(std::string_view path, std::string_view body, std::string_view more = {}) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string(more) + "\r\n" + std::string(body);
}

}  // namespace vkfer::test
