#include "tools/train/interrupt.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <mutex>

namespace vkfer {
namespace {

constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};
constexpr double kSameRequestSeconds = 0.5;
std::atomic<bool> g_requested{false};
std::atomic<double> g_requested_at{0};
std::array<struct sigaction, kSignals.size()> g_before;
std::mutex g_guards_mutex;
int g_guards = 0;

double now_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);  // allowed in a signal handler
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

// One request may arrive twice at once: timeout(1) signals the process and then its group.
void on_signal(int signal) {
  if (!g_requested.exchange(true))
    g_requested_at = now_seconds();
  else if (now_seconds() - g_requested_at > kSameRequestSeconds)
    ::_exit(128 + signal);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  const std::lock_guard lock(g_guards_mutex);
  if (g_guards++ > 0) return;
  g_requested = false;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], nullptr, &g_before[i]);
    // nohup means it. That scripts start background jobs with SIGINT ignored is no reason to refuse `kill -INT`.
    if (kSignals[i] == SIGHUP && g_before[i].sa_handler == SIG_IGN) continue;
    ::sigaction(kSignals[i], &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  const std::lock_guard lock(g_guards_mutex);
  if (--g_guards > 0) return;
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &g_before[i], nullptr);
}

bool InterruptGuard::requested() { return g_requested; }

}  // namespace vkfer
