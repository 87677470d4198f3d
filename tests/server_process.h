#pragma once
// `vkfer serve` as a process of its own, on a port that is free.
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "tests/workplace.h"

namespace vkfer::test {

class ServerProcess {
 public:
  ServerProcess(const Workplace& place, const std::string& arguments) : log_(place.path / "serve.log") {
    const std::string command = fmt::format("cd '{}' && exec '{}' serve {} --port 0 > '{}' 2>&1", place.path.string(), VKFER_TOOL, arguments, log_.string());
    process_ = ::fork();
    if (process_ == 0) {
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 1200 && port_ == 0 && alive(); ++i) {
      const std::string said = text_of(log_);
      if (const size_t at = said.find("http://"); at != said.npos && said.find('\n', at) != said.npos) port_ = std::atoi(said.c_str() + said.find(':', at + 7) + 1);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    INFO(text_of(log_));
    REQUIRE(port_ > 0);
  }
  ~ServerProcess() {
    if (alive()) ::kill(process_, SIGKILL), ::waitpid(process_, nullptr, 0);
  }
  ServerProcess(const ServerProcess&) = delete;

  int port() const { return port_; }
  pid_t process() const { return process_; }
  std::string log() const { return text_of(log_); }
  bool alive() {
    if (process_ > 0 && ::waitpid(process_, &status_, WNOHANG) == process_) process_ = -1;
    return process_ > 0;
  }
  // Its exit status, after `signal`; -1 when it goes on for half a minute.
  int end(int signal) {
    ::kill(process_, signal);
    for (int i = 0; i < 600 && alive(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return alive() ? -1 : WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }

 private:
  const std::filesystem::path log_;
  pid_t process_ = -1;
  int status_ = 0, port_ = 0;
};

}  // namespace vkfer::test
