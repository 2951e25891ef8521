#include "pipeline/app/backup_desk.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <utility>

#include "pipeline/app/report.h"
#include "pipeline/app/session.h"

namespace tollbook {
namespace {

constexpr size_t kMessageBytesMax = 64 << 10;
constexpr int kCallersMax = 8;
constexpr int kSaysWhereMillis = 1000;  // a caller says at once where to copy to
constexpr int kLookMillis = 200;        // whether a signal asks to stop waiting

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

struct Address {
  sockaddr_un name = {};
  socklen_t bytes = 0;
};

// A name that is no file's: it begins with a zero, and goes with the socket.
std::optional<Address> AddressOf(const std::string& books) {
  struct stat facts = {};
  if (stat(books.c_str(), &facts) != 0) return std::nullopt;
  const std::string name = "tollbook-backup-" + std::to_string(facts.st_dev) + "-" + std::to_string(facts.st_ino);
  Address address;
  address.name.sun_family = AF_UNIX;
  std::memcpy(address.name.sun_path + 1, name.data(), name.size());
  address.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

int NewSocket(int flags) {
  return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
}

int Listen(const std::string& books) {
  const std::optional<Address> address = AddressOf(books);
  if (!address) return -1;
  const int fd = NewSocket(SOCK_NONBLOCK);
  if (fd < 0) return -1;
  const auto* const name = reinterpret_cast<const sockaddr*>(&address->name);
  if (bind(fd, name, address->bytes) == 0 && listen(fd, kCallersMax) == 0) return fd;
  close(fd);
  return -1;
}

// A name of this kind is anybody's to take, so each side looks who the other is.
bool IsTrusted(int fd) {
  ucred peer = {};
  socklen_t bytes = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) return false;
  return peer.uid == geteuid() || peer.uid == 0;
}

// One message; empty: the other side is gone, or said nothing in that time.
std::string Receive(int fd, int wait_millis) {
  pollfd ready = {fd, POLLIN, 0};
  if (poll(&ready, 1, wait_millis) <= 0) return "";
  std::string message(kMessageBytesMax, '\0');
  const ssize_t got = recv(fd, message.data(), message.size(), 0);
  message.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return message;
}

// Whoever does not wait for it any more does without.
void Send(int fd, const std::string& message) {
  (void)send(fd, message.data(), std::min(message.size(), kMessageBytesMax), MSG_NOSIGNAL);
}

std::string AnswerOf(const absl::StatusOr<BackupReport>& report) {
  Json json;
  if (report.ok()) {
    json = {{"number", report->number},
            {"sequence", report->sequence},
            {"files", report->files},
            {"bytes", report->bytes},
            {"copied_bytes", report->copied_bytes}};
  } else {
    json = {{"code", static_cast<int>(report.status().code())},
            {"message", std::string(Std(report.status().message()))}};
  }
  return ToText(json);
}

absl::StatusOr<BackupReport> ReportIn(const std::string& answer) {
  const Json json = Json::parse(answer, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return MakeError(absl::StatusCode::kInternal, "the process that has the book gave no answer that is understood",
                     "backup", "let both be the same tollbook");
  }
  if (json.contains("code")) {
    return absl::Status(static_cast<absl::StatusCode>(json.value("code", 0)), Abs(json.value("message", "")));
  }
  BackupReport report;
  report.number = json.value("number", uint64_t{0});
  report.sequence = json.value("sequence", uint64_t{0});
  report.files = json.value("files", uint64_t{0});
  report.bytes = json.value("bytes", uint64_t{0});
  report.copied_bytes = json.value("copied_bytes", uint64_t{0});
  return report;
}

}  // namespace

BackupDesk::BackupDesk(const std::string& books) : listening_(Listen(books)) {}

BackupDesk::~BackupDesk() {
  if (copied_.valid()) copied_.wait();
  LetGo();
  if (listening_ >= 0) close(listening_);
}

void BackupDesk::LetGo() {
  if (copied_.valid()) (void)copied_.get();  // the caller was told
  under_way_.reset();
}

void BackupDesk::Serve(Book& book) {
  if (listening_ < 0) return;
  if (copied_.valid()) {
    if (copied_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
    LetGo();
  }
  Socket caller(accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC));
  if (caller.fd() < 0 || !IsTrusted(caller.fd())) return;
  const std::string to = Receive(caller.fd(), kSaysWhereMillis);
  if (to.empty()) return;
  absl::StatusOr<std::unique_ptr<BackupUnderWay>> begun = BackupUnderWay::Begin(book, to, Now().nanos);
  if (!begun.ok()) return Send(caller.fd(), AnswerOf(begun.status()));
  under_way_ = *std::move(begun);
  copied_ = copier_.Start([backup = under_way_.get(), caller = std::move(caller)] {
    Send(caller.fd(), AnswerOf(backup->Copy()));
    return absl::OkStatus();
  });
}

std::optional<absl::StatusOr<BackupReport>> AskForBackup(const std::string& books, const std::string& to,
                                                         const std::function<void()>& on_asked) {
  const std::optional<Address> address = AddressOf(books);
  const Socket desk(NewSocket(0));
  if (!address || desk.fd() < 0) return std::nullopt;
  const auto* const name = reinterpret_cast<const sockaddr*>(&address->name);
  if (connect(desk.fd(), name, address->bytes) != 0 || !IsTrusted(desk.fd())) return std::nullopt;
  Send(desk.fd(), to);
  on_asked();
  for (;;) {
    pollfd ready = {desk.fd(), POLLIN, 0};
    const int events = poll(&ready, 1, kLookMillis);
    if (StopRequested().load()) {
      return MakeError(absl::StatusCode::kCancelled, "stopped", books,
                       "the backup that was asked for may still be made");
    }
    if (events <= 0) continue;
    const std::string answer = Receive(desk.fd(), 0);
    if (answer.empty()) return std::nullopt;  // it ended
    return ReportIn(answer);
  }
}

}  // namespace tollbook
