// The hand-off against a target that answers at once: journal batches a second, how long each takes, and how many
// targets one process drives. The answer is checked: each batch came to each target once, and is confirmed.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bench/bench_data.h"
#include "ledger/book.h"
#include "pipeline/emit/deliver.h"

namespace tollbook::bench {
namespace {

using Clock = std::chrono::steady_clock;

double Micros(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

// A receiver of webhooks on this machine, a thread for each connection.
class Receiver {
 public:
  Receiver() {
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(socket_, 128) != 0 ||
        getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      Die("cannot listen on the loopback");
    }
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { Accept(); });
  }
  // When its clients have closed their connections.
  ~Receiver() {
    shutdown(socket_, SHUT_RDWR);
    accepting_.join();
    for (std::thread& connection : connections_) connection.join();
    close(socket_);
  }

  int port() const { return port_; }
  // How often each path and key came.
  std::map<std::string, int> came() const {
    const std::lock_guard lock(mutex_);
    return came_;
  }
  // From one request of a connection to the next, sorted: all that a delivery takes.
  std::vector<double> micros() const {
    const std::lock_guard lock(mutex_);
    std::vector<double> sorted = micros_;
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }

 private:
  void Accept() {
    for (int fd = accept(socket_, nullptr, nullptr); fd >= 0; fd = accept(socket_, nullptr, nullptr)) {
      connections_.emplace_back([this, fd] { Serve(fd); });
    }
  }

  void Serve(int fd) {
    constexpr std::string_view kAnswer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Clock::time_point before;
    std::string buffer;
    while (ReadRequest(fd, &buffer)) {
      const Clock::time_point now = Clock::now();
      {
        const std::lock_guard lock(mutex_);
        ++came_[buffer.substr(0, buffer.find(" HTTP/")) + " " + After(buffer, "webhook-id: ")];
        if (before != Clock::time_point()) micros_.push_back(Micros(now - before));
      }
      before = now;
      if (write(fd, kAnswer.data(), kAnswer.size()) != static_cast<ssize_t>(kAnswer.size())) break;
    }
    close(fd);
  }

  static std::string After(const std::string& request, std::string_view name) {
    const size_t at = request.find(name);
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size();
    return request.substr(begin, request.find('\r', begin) - begin);
  }

  // One whole request; nothing follows it before it is answered.
  static bool ReadRequest(int fd, std::string* request) {
    request->clear();
    size_t whole = std::string::npos;
    while (request->size() < whole) {
      char bytes[65536];
      const ssize_t size = read(fd, bytes, sizeof bytes);
      if (size <= 0) return false;
      request->append(bytes, static_cast<size_t>(size));
      const size_t head = request->find("\r\n\r\n");
      if (head != std::string::npos) whole = head + 4 + std::stoul(After(*request, "Content-Length: "));
    }
    return true;
  }

  int socket_ = -1;
  int port_ = 0;
  std::thread accepting_;
  std::vector<std::thread> connections_;
  mutable std::mutex mutex_;  // of all below
  std::map<std::string, int> came_;
  std::vector<double> micros_;
};

// Of 40 entities, so that many may go at a time; of 20 lines each.
void SealBatches(Book& book, int batches) {
  SealCommit seal;
  seal.record.number = book.next_seal();
  for (int i = 0; i < batches; ++i) {
    JournalBatch batch;
    batch.id = "batch-" + std::to_string(i);
    batch.seal = seal.record.number;
    batch.entity = "entity-" + std::to_string(i % 40);
    batch.accounting_period = "2025-01";
    batch.currency = *Currency::FromCode("USD");
    batch.posting_key = "tb-" + batch.id;
    for (uint32_t line = 1; line <= 20; ++line) {
      batch.lines.push_back(
          {line,
           {batch.entity, batch.currency, "2025-01", {20'088 + static_cast<int32_t>(line)}, "api", "1200", "4000", ""},
           120,
           1});
    }
    seal.batches.push_back(std::move(batch));
  }
  Require(book.CommitSeal(seal));
}

Target WebhookTarget(int number, uint32_t concurrency, int port) {
  Target target;
  target.name = "target-" + std::to_string(number);
  target.kind = TargetKind::kWebhook;
  target.http.url = "http://127.0.0.1:" + std::to_string(port) + "/" + std::to_string(number);
  target.http.private_network = true;
  target.secret = {SecretReference::Kind::kEnvironment, "TOLLBOOK_BENCH_SECRET"};
  target.deduplicates = true;
  target.requests.concurrency = concurrency;
  return target;
}

int64_t NowNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::vector<EmitterOf> Emitters(int targets, uint32_t concurrency, int port) {
  EmitterContext context;
  context.book_name = "bench";
  context.now_nanos = NowNanos;
  std::vector<EmitterOf> emitters;
  for (int i = 0; i < targets; ++i) {
    EmitterOf of{WebhookTarget(i, concurrency, port), nullptr};
    of.emitter = Require(MakeEmitter(of.target, context));
    while (of.more.size() + 1 < concurrency) of.more.push_back(Require(MakeEmitter(of.target, context)));
    emitters.push_back(std::move(of));
  }
  return emitters;
}

// What one sync of a few bytes takes where the book lies; microseconds, the median.
double SyncMicros(const std::string& directory) {
  const std::string path = directory + "/sync";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  std::vector<double> micros;
  for (int i = 0; i < 201; ++i) {
    const Clock::time_point start = Clock::now();
    if (write(fd, "synced", 6) != 6 || fdatasync(fd) != 0) Die("cannot write " + path);
    micros.push_back(Micros(Clock::now() - start));
  }
  close(fd);
  std::nth_element(micros.begin(), micros.begin() + 100, micros.end());
  return micros[100];
}

void Run(const std::string& directory, int batches, int targets, uint32_t concurrency) {
  std::filesystem::create_directories(directory);
  BookOptions options;
  options.directory = directory + "/book";
  options.create = true;
  options.identity = {kFormatVersion, "bench", "UTC", {11, 22}};
  options.now_nanos = NowNanos;
  std::unique_ptr<Book> book = Require(Book::Open(options));
  SealBatches(*book, batches);
  std::mt19937_64 chance(1);
  DeliverOptions deliver;
  deliver.now_nanos = NowNanos;
  deliver.chance = [&] { return chance(); };
  Receiver receiver;
  double seconds = 0;
  {
    const std::vector<EmitterOf> emitters = Emitters(targets, concurrency, receiver.port());
    const Clock::time_point start = Clock::now();
    const DeliverReport report = Require(Deliver(*book, emitters, deliver));
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
    for (const TargetReport& of : report.targets) {
      RequireEqual(of.confirmed, static_cast<uint64_t>(batches), "deliveries that are confirmed");
    }
  }
  const std::map<std::string, int> came = receiver.came();
  RequireEqual(came.size(), static_cast<uint64_t>(targets) * static_cast<uint64_t>(batches), "requests of their own");
  for (const auto& [request, times] : came) {
    if (times != 1) Die(request + " came " + std::to_string(times) + " times");
  }
  const std::vector<double> micros = receiver.micros();
  const auto at = [&](size_t part) { return micros.empty() ? 0 : micros[(micros.size() - 1) * part / 100] / 1e3; };
  std::printf("%7d %11u %9d %10zu %9.2f %12.0f %9.2f %9.2f %12.0f\n", targets, concurrency, batches, came.size(),
              seconds, static_cast<double>(came.size()) / seconds, at(50), at(99), SyncMicros(directory));
  std::fflush(stdout);
  book.reset();
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace tollbook::bench

int main(int argc, char** argv) {
  int batches = 2000;
  std::filesystem::path directory = std::filesystem::temp_directory_path();
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--batches") {
      batches = std::stoi(argv[i + 1]);
    } else if (std::string(argv[i]) == "--dir") {
      directory = argv[i + 1];
    } else {
      tollbook::bench::Die("bench_outbox takes --batches N, --dir DIR and nothing else");
    }
  }
  setenv("TOLLBOOK_BENCH_SECRET", "a secret", 1);
  std::printf("targets concurrency   batches deliveries   seconds deliveries/s    p50 ms    p99 ms one sync, us\n");
  const std::string scratch = (directory / ("tollbook-bench-outbox-" + std::to_string(getpid()))).string();
  constexpr std::pair<int, uint32_t> kShapes[] = {{1, 1}, {1, 4}, {1, 16}, {8, 1}, {8, 4}, {64, 1}};
  for (const auto& [targets, concurrency] : kShapes) tollbook::bench::Run(scratch, batches, targets, concurrency);
  std::printf("checked: each batch came to each target once, and is confirmed\n");
  return 0;
}
