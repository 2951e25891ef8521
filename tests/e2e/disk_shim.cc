// disk_shim: stands between a program and its disk (LD_PRELOAD), for tests of the program as it is shipped.
//
// Every call that changes files below $DISK_SHIM_ROOT, RocksDB's as well as ours, goes through here, one at a time; so
// does what is sent by TCP without TLS, and what comes back. It can be written down, made to fail (files only), or be
// the last thing that the program does:
//
//   DISK_SHIM_ROOT    absolute path; calls on other files pass through and count for nothing
//   DISK_SHIM_TRACE   file that each effect is appended to when it has happened; tests/e2e/disk.py reads it
//   DISK_SHIM_FAIL    CALLS:ERRNO:N:once|on  the N-th call (from 0) of the kinds in CALLS fails with this number; with
//                     `on` so do all after it. Kinds: o open, c open that may make or write, r read, w write, s sync,
//                     n name (rename, unlink, link, mkdir), t truncate, allocate
//   DISK_SHIM_KILL    POINT:N  the program ends by SIGKILL at this point's N-th time (from 0). POINT is before|after,
//                     effect and kind of file, as `after sync high-water` (KindOf; HeldIn for RocksDB's log), or what
//                     of a request, as `before send first-byte`; `any` is every point there is
//   DISK_SHIM_POINTS  file that the name of each point is appended to when the program passes it
//   DISK_SHIM_CALLS   file that a byte is appended to for each call of the kinds in DISK_SHIM_FAIL
//   DISK_SHIM_FAILED  file that a line is appended to for each call that was made to fail: what it was
//   DISK_SHIM_DAYS    so many days later than it is, by the program's clock
//
// What is asked of the kernel is asked by number, so that no call of the library comes back here.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace {

constexpr int kWatchedFd = 900;  // above what the program itself opens

struct Open {
  std::string path;
  uint64_t inode = 0;
  bool directory = false;
  std::string holds;  // of RocksDB's log: what was written and is not synced (HeldIn)
};

// Who is at the other end of a TCP connection.
struct Peer {
  uint16_t port = 0;
  bool is_sent_to = false;  // the request has begun, and no answer to it has
};

std::string Env(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// Without ".", ".." and double slashes; relative ones from the working directory.
std::string Normal(std::string_view path) {
  std::string whole;
  if (!path.starts_with('/')) {
    char here[4096] = {};
    if (syscall(SYS_getcwd, here, sizeof here) > 0) whole = here;
    whole += '/';
  }
  whole += path;
  std::string normal;
  for (size_t at = 0; at < whole.size();) {
    const size_t end = std::min(whole.find('/', at), whole.size());
    const std::string_view part = std::string_view(whole).substr(at, end - at);
    if (part == "..")
      normal.resize(normal.find_last_of('/') == std::string::npos ? 0 : normal.find_last_of('/'));
    else if (!part.empty() && part != ".")
      normal.append("/").append(part);
    at = end + 1;
  }
  return normal.empty() ? "/" : normal;
}

// What a file is for, by its name.
std::string KindOf(const std::string& path) {
  const std::string name = path.substr(path.find_last_of('/') + 1);
  const bool in_seen = path.find("/seen/") != std::string::npos;
  const auto ends = [&](std::string_view end) { return std::string_view(name).ends_with(end); };
  const auto starts = [&](std::string_view start) { return name.starts_with(start); };
  if (starts("HIGHWATER")) return "high-water";
  if (starts("FORMAT")) return "format";
  if (starts("BOOKLOCK") || name == "LOCK") return "lock";
  if (ends(".log")) return in_seen ? "seen-log" : "wal";
  if (ends(".run")) return "seen-run";
  if (ends(".zst")) return "usage-log";
  if (ends(".sst")) return "table";
  if (ends(".blob")) return "blob";
  if (starts("MANIFEST")) return "manifest";
  if (name.find(".backup") != std::string::npos) return "backup-list";
  if (path.find("/objects/") != std::string::npos) return "backup-object";
  if (starts("CURRENT") || ends(".dbtmp")) return "current";
  if (starts("OPTIONS") || starts("IDENTITY")) return "options";
  if (name.find(".tmp-") != std::string::npos) return "report";  // until it has its name
  for (const std::string_view ending : {".csv", ".csv.new", ".sha256", ".sha256.new"}) {
    if (ends(ending)) return "report";
  }
  struct stat facts = {};
  if (stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode)) return "directory";
  return "file";
}

// What a write to RocksDB's log is of, by the keys in it (ledger/FORMAT.md).
std::string HeldIn(std::string_view bytes) {
  const auto has = [&](std::string_view key) { return bytes.find(key) != std::string_view::npos; };
  if (has("delivery/") || has("target_standing/") || has("usage_planned/") || has("events_planned/")) return "outbox";
  return has("commit/") && has("seal/") ? "seal-commit" : "";
}

class Shim {
 public:
  Shim() : root_(Env("DISK_SHIM_ROOT")), kill_(Env("DISK_SHIM_KILL")) {
    if (const std::string trace = Env("DISK_SHIM_TRACE"); !trace.empty()) trace_ = OpenOwn(trace);
    if (const std::string failed = Env("DISK_SHIM_FAILED"); !failed.empty()) failed_ = OpenOwn(failed);
    if (const std::string called = Env("DISK_SHIM_CALLS"); !called.empty()) called_ = OpenOwn(called);
    if (const std::string points = Env("DISK_SHIM_POINTS"); !points.empty()) points_ = OpenOwn(points);
    if (const std::string fail = Env("DISK_SHIM_FAIL"); !fail.empty()) {
      const size_t first = fail.find(':'), second = fail.find(':', first + 1), third = fail.find(':', second + 1);
      fail_kinds_ = fail.substr(0, first);
      fail_errno_ = std::stoi(fail.substr(first + 1));
      fail_at_ = std::stoll(fail.substr(second + 1));
      fail_on_ = fail.substr(third + 1) == "on";
    }
    if (const std::string days = Env("DISK_SHIM_DAYS"); !days.empty()) days_ = std::stoi(days);
    if (const size_t colon = kill_.find(':'); colon != std::string::npos) {
      kill_at_ = std::stoll(kill_.substr(colon + 1));
      kill_.resize(colon);
    }
  }

  std::recursive_mutex& mutex() { return mutex_; }
  int days() const { return days_; }

  bool Watches(const std::string& path) const {
    return !root_.empty() && path.starts_with(root_) && (path.size() == root_.size() || path[root_.size()] == '/');
  }
  const Open* Of(int fd) const {
    const auto found = open_.find(fd);
    return found == open_.end() ? nullptr : &found->second;
  }
  void Opened(int fd, const std::string& path) {
    struct stat facts = {};
    if (fstat(fd, &facts) == 0) open_[fd] = {path, facts.st_ino, S_ISDIR(facts.st_mode), {}};
  }
  void Closed(int fd) {
    open_.erase(fd);
    peers_.erase(fd);
  }
  // What the file's next sync makes durable; "": nothing that has a name of its own.
  void Holds(int fd, const std::string& what) {
    if (!what.empty()) open_[fd].holds = what;
  }
  void Synced(int fd) { open_[fd].holds.clear(); }
  Peer* PeerOf(int fd) {
    const auto found = peers_.find(fd);
    return found == peers_.end() ? nullptr : &found->second;
  }
  void Connects(int fd, uint16_t port) {
    if (!root_.empty()) peers_[fd] = {port};
  }
  static uint64_t InodeOf(const std::string& path) {
    struct stat facts = {};
    return lstat(path.c_str(), &facts) == 0 ? facts.st_ino : 0;
  }

  // Is this call to fail? Then errno says how.
  bool Fails(std::string_view kinds, std::string_view effect, const std::string& path) {
    if (fail_kinds_.find_first_of(kinds) == std::string::npos) return false;
    const long long call = calls_++;
    if (called_ >= 0) (void)!syscall(SYS_write, called_, ".", 1);
    if (call != fail_at_ && !(fail_on_ && call > fail_at_)) return false;
    if (failed_ >= 0) {
      const std::string line = std::string(effect) + " " + path + "\n";
      (void)!syscall(SYS_write, failed_, line.data(), line.size());
    }
    errno = fail_errno_;
    return true;
  }

  void Before(std::string_view effect, const std::string& kind) { Pass("before", effect, kind); }
  // `text` without its end of line, then `bytes` as they are.
  void After(std::string_view effect, const std::string& kind, std::string text, std::string_view bytes = {}) {
    if (trace_ >= 0) {
      const std::string head = text + "\n";
      const iovec parts[] = {{const_cast<char*>(head.data()), head.size()},
                             {const_cast<char*>(bytes.data()), bytes.size()}};
      size_t left = head.size() + bytes.size();
      const ssize_t written = syscall(SYS_writev, trace_, parts, 2);
      left -= written > 0 ? static_cast<size_t>(written) : 0;
      if (left != 0) abort();
    }
    Pass("after", effect, kind);
  }

 private:
  static int OpenOwn(const std::string& path) {
    const int fd =
        static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (fd < 0) abort();
    const int high = static_cast<int>(syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, kWatchedFd));
    syscall(SYS_close, fd);
    return high;
  }

  void Pass(std::string_view when, std::string_view effect, const std::string& kind) {
    if (kill_.empty() && points_ < 0) return;
    const std::string point = std::string(when) + " " + std::string(effect) + " " + kind;
    if (points_ >= 0) (void)!syscall(SYS_write, points_, (point + "\n").data(), point.size() + 1);
    if ((kill_ == "any" || point == kill_) && passed_++ == kill_at_) kill(getpid(), SIGKILL);
  }

  std::recursive_mutex mutex_;
  const std::string root_;
  std::map<int, Open> open_;
  std::map<int, Peer> peers_;
  int trace_ = -1, failed_ = -1, called_ = -1, points_ = -1;
  std::string fail_kinds_;
  int fail_errno_ = 0;
  int days_ = 0;
  long long fail_at_ = 0, calls_ = 0;
  bool fail_on_ = false;
  std::string kill_;
  long long kill_at_ = 0, passed_ = 0;
};

// Never destroyed: other threads may still write when the program ends.
Shim& TheShim() {
  static Shim* const shim = new Shim;
  return *shim;
}

using Guard = std::lock_guard<std::recursive_mutex>;

std::string Numbers(std::initializer_list<uint64_t> numbers) {
  std::string text;
  for (const uint64_t number : numbers) text += " " + std::to_string(number);
  return text;
}

int DoOpen(const char* name, int flags, mode_t mode) {
  Shim& shim = TheShim();
  const std::string path = Normal(name);
  const auto call = [&] { return static_cast<int>(syscall(SYS_openat, AT_FDCWD, name, flags, mode)); };
  if (!shim.Watches(path)) return call();
  const Guard guard(shim.mutex());
  const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
  if (shim.Fails(writes ? "oc" : "o", writes ? "create" : "open", path)) return -1;
  const bool there = Shim::InodeOf(path) != 0;
  const bool makes = (flags & O_CREAT) != 0 && !there;
  if (makes) shim.Before("create", KindOf(path));
  const int fd = call();
  if (fd < 0) return fd;
  shim.Opened(fd, path);
  if (makes) shim.After("create", KindOf(path), "create" + Numbers({shim.Of(fd)->inode}) + " " + path);
  if (there && (flags & O_TRUNC) != 0)
    shim.After("truncate", KindOf(path), "truncate" + Numbers({shim.Of(fd)->inode, 0}));
  return fd;
}

// `at` < 0: where the file's own position is.
ssize_t DoWrite(int fd, const void* bytes, size_t size, off_t at) {
  Shim& shim = TheShim();
  const auto call = [&](size_t part) -> ssize_t {
    return at < 0 ? syscall(SYS_write, fd, bytes, part) : syscall(SYS_pwrite64, fd, bytes, part, at);
  };
  const Guard guard(shim.mutex());
  const Open* const open = shim.Of(fd);
  if (open == nullptr) {
    const ssize_t written = call(size);
    // What the program has told somebody, by write(2): what the C library writes of a FILE does not come here.
    if (fd == STDOUT_FILENO && written > 0)
      shim.After("tell", "output", "told" + Numbers({static_cast<uint64_t>(written)}),
                 {static_cast<const char*>(bytes), static_cast<size_t>(written)});
    return written;
  }
  if (shim.Fails("w", "write", open->path)) return -1;
  std::string kind = KindOf(open->path);
  if (kind == "wal") {
    shim.Holds(fd, HeldIn({static_cast<const char*>(bytes), size}));
    if (!open->holds.empty()) kind = open->holds;
  }
  shim.Before("write", kind);
  const ssize_t written = call(size);
  if (written <= 0) return written;
  const off_t from = at < 0 ? syscall(SYS_lseek, fd, 0, SEEK_CUR) - written : at;
  shim.After("write", kind,
             "write" + Numbers({open->inode, static_cast<uint64_t>(from), static_cast<uint64_t>(written)}),
             {static_cast<const char*>(bytes), static_cast<size_t>(written)});
  return written;
}

int DoSync(int fd, long number) {
  Shim& shim = TheShim();
  const Guard guard(shim.mutex());
  const Open* const open = shim.Of(fd);
  if (open == nullptr) return static_cast<int>(syscall(number, fd));
  if (shim.Fails("s", "sync", open->path)) return -1;
  const std::string kind = open->holds.empty() ? KindOf(open->path) : open->holds;
  shim.Before("sync", kind);
  shim.Synced(fd);
  // Where nothing is to be checked afterwards, the disk itself need not be waited for.
  shim.After("sync", kind, open->directory ? "syncdir " + open->path : "sync" + Numbers({open->inode}));
  return 0;
}

int DoTruncate(int fd, off_t size) {
  Shim& shim = TheShim();
  const Guard guard(shim.mutex());
  const Open* const open = shim.Of(fd);
  if (open != nullptr && shim.Fails("t", "truncate", open->path)) return -1;
  if (open != nullptr) shim.Before("truncate", KindOf(open->path));
  const int done = static_cast<int>(syscall(SYS_ftruncate, fd, size));
  if (done == 0 && open != nullptr)
    shim.After("truncate", KindOf(open->path), "truncate" + Numbers({open->inode, static_cast<uint64_t>(size)}));
  return done;
}

int DoAllocate(int fd, int mode, off_t at, off_t size) {
  Shim& shim = TheShim();
  const Guard guard(shim.mutex());
  const Open* const open = shim.Of(fd);
  const bool punches = (mode & FALLOC_FL_PUNCH_HOLE) != 0;
  const bool grows = (mode & FALLOC_FL_KEEP_SIZE) == 0;
  if (open != nullptr && shim.Fails("t", punches ? "punch" : "allocate", open->path)) return -1;
  if (open != nullptr && punches) shim.Before("punch", KindOf(open->path));
  const int done = static_cast<int>(syscall(SYS_fallocate, fd, mode, at, size));
  if (done != 0 || open == nullptr || !(punches || grows)) return done;
  shim.After(punches ? "punch" : "allocate", KindOf(open->path),
             (punches ? "punch" : "allocate") +
                 Numbers({open->inode, static_cast<uint64_t>(at), static_cast<uint64_t>(size)}));
  return done;
}

// A call on names. `text`: what it did, for the trace.
template <typename Call, typename Text>
int DoNamed(std::string_view effect, const std::string& path, const std::string& kind, const Call& call,
            const Text& text) {
  Shim& shim = TheShim();
  if (!shim.Watches(path)) return call();
  const Guard guard(shim.mutex());
  if (shim.Fails("n", effect, path)) return -1;
  shim.Before(effect, kind);
  const int done = call();
  if (done == 0) shim.After(effect, kind, text());
  return done;
}

int DoConnect(int fd, const sockaddr* address, socklen_t size) {
  Shim& shim = TheShim();
  const auto call = [&] { return static_cast<int>(syscall(SYS_connect, fd, address, size)); };
  int type = 0;
  socklen_t type_size = sizeof type;
  const bool is_tcp = (address->sa_family == AF_INET || address->sa_family == AF_INET6) &&
                      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 && type == SOCK_STREAM;
  if (!is_tcp) return call();
  const Guard guard(shim.mutex());
  // The port is at the same place of both kinds of address.
  shim.Connects(fd, ntohs(reinterpret_cast<const sockaddr_in*>(address)->sin_port));
  if (shim.PeerOf(fd) == nullptr) return call();
  shim.Before("connect", "target");
  const int done = call();
  const int error = errno;
  if (done == 0 || error == EINPROGRESS) shim.After("connect", "target", "connect" + Numbers({shim.PeerOf(fd)->port}));
  errno = error;
  return done;
}

ssize_t DoSend(int fd, const void* bytes, size_t size, int flags) {
  Shim& shim = TheShim();
  const auto call = [&]() -> ssize_t { return syscall(SYS_sendto, fd, bytes, size, flags, nullptr, 0); };
  const Guard guard(shim.mutex());
  Peer* const peer = shim.PeerOf(fd);
  if (peer == nullptr) return call();
  const bool is_first = !peer->is_sent_to;
  const std::string what = is_first ? "first-byte" : "more-bytes";
  shim.Before("send", what);
  const ssize_t sent = call();
  if (sent <= 0) return sent;
  peer->is_sent_to = true;
  shim.After("send", what, "send" + Numbers({peer->port, is_first}));
  return sent;
}

// Under the lock, for curl's sockets are never waited for in here.
ssize_t DoReceive(int fd, void* into, size_t size, int flags) {
  Shim& shim = TheShim();
  const auto call = [&]() -> ssize_t { return syscall(SYS_recvfrom, fd, into, size, flags, nullptr, nullptr); };
  const Guard guard(shim.mutex());
  Peer* const peer = shim.PeerOf(fd);
  if (peer == nullptr) return call();
  const bool is_first = peer->is_sent_to;
  const std::string what = is_first ? "response" : "more-response";
  char byte = 0;
  if (syscall(SYS_recvfrom, fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, nullptr, nullptr) == 1) shim.Before("receive", what);
  const ssize_t received = call();
  if (received <= 0 || (flags & MSG_PEEK) != 0) return received;
  peer->is_sent_to = false;
  shim.After("receive", what, "receive" + Numbers({peer->port, is_first}));
  return received;
}

template <typename Call>
ssize_t DoRead(int fd, const Call& call) {
  Shim& shim = TheShim();
  {
    const Guard guard(shim.mutex());
    const Open* const open = shim.Of(fd);
    if (open != nullptr && shim.Fails("r", "read", open->path)) return -1;
  }
  return call();
}

mode_t ModeOf(int flags, va_list arguments) {
  return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int open(const char* name, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return DoOpen(name, flags, mode);
}
int open64(const char* name, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = ModeOf(flags, arguments);
  va_end(arguments);
  return DoOpen(name, flags, mode);
}
int close(int fd) {
  const Guard guard(TheShim().mutex());
  TheShim().Closed(fd);
  return static_cast<int>(syscall(SYS_close, fd));
}
ssize_t write(int fd, const void* bytes, size_t size) {
  return DoWrite(fd, bytes, size, -1);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  return DoWrite(fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t at) {
  return DoWrite(fd, bytes, size, at);
}
ssize_t read(int fd, void* into, size_t size) {
  return DoRead(fd, [&]() -> ssize_t { return syscall(SYS_read, fd, into, size); });
}
ssize_t pread(int fd, void* into, size_t size, off_t at) {
  return DoRead(fd, [&]() -> ssize_t { return syscall(SYS_pread64, fd, into, size, at); });
}
ssize_t pread64(int fd, void* into, size_t size, off_t at) {
  return pread(fd, into, size, at);
}
int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int done = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  if (done == 0 && clock == CLOCK_REALTIME) time->tv_sec += 86400 * TheShim().days();
  return done;
}
int connect(int fd, const sockaddr* address, socklen_t size) {
  return DoConnect(fd, address, size);
}
ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  return DoSend(fd, bytes, size, flags);
}
ssize_t recv(int fd, void* into, size_t size, int flags) {
  return DoReceive(fd, into, size, flags);
}
int fsync(int fd) {
  return DoSync(fd, SYS_fsync);
}
int fdatasync(int fd) {
  return DoSync(fd, SYS_fdatasync);
}
int ftruncate(int fd, off_t size) {
  return DoTruncate(fd, size);
}
int ftruncate64(int fd, off_t size) {
  return DoTruncate(fd, size);
}
int fallocate(int fd, int mode, off_t at, off_t size) {
  return DoAllocate(fd, mode, at, size);
}
int fallocate64(int fd, int mode, off_t at, off_t size) {
  return DoAllocate(fd, mode, at, size);
}
int posix_fallocate(int fd, off_t at, off_t size) {
  return DoAllocate(fd, 0, at, size) == 0 ? 0 : errno;
}
int rename(const char* from, const char* to) {
  const std::string source = Normal(from), target = Normal(to), kind = KindOf(target);
  return DoNamed(
      "rename", target, kind == "file" ? KindOf(source) : kind,
      [&] { return static_cast<int>(syscall(SYS_rename, from, to)); },
      [&] { return "rename " + source + "\t" + target; });
}
int link(const char* from, const char* to) {
  const std::string target = Normal(to);
  return DoNamed(
      "link", target, KindOf(target), [&] { return static_cast<int>(syscall(SYS_link, from, to)); },
      [&] { return "link " + Normal(from) + "\t" + target; });
}
int unlink(const char* name) {
  const std::string path = Normal(name);
  return DoNamed(
      "unlink", path, KindOf(path), [&] { return static_cast<int>(syscall(SYS_unlink, name)); },
      [&] { return "unlink " + path; });
}
int rmdir(const char* name) {
  const std::string path = Normal(name);
  return DoNamed(
      "unlink", path, KindOf(path), [&] { return static_cast<int>(syscall(SYS_rmdir, name)); },
      [&] { return "rmdir " + path; });
}
int mkdir(const char* name, mode_t mode) {
  const std::string path = Normal(name);
  return DoNamed(
      "mkdir", path, "directory", [&] { return static_cast<int>(syscall(SYS_mkdir, name, mode)); },
      [&] { return "mkdir " + path; });
}
int remove(const char* name) {
  struct stat facts = {};
  const bool directory = lstat(name, &facts) == 0 && S_ISDIR(facts.st_mode);
  return directory ? rmdir(name) : unlink(name);
}
DIR* opendir(const char* name) {
  const std::string path = Normal(name);
  Shim& shim = TheShim();
  {
    const Guard guard(shim.mutex());
    if (shim.Watches(path) && shim.Fails("o", "open", path)) return nullptr;
  }
  return Next<DIR* (*)(const char*)>("opendir")(name);
}
FILE* fopen64(const char* name, const char* mode) {
  const std::string path = Normal(name);
  Shim& shim = TheShim();
  {
    const Guard guard(shim.mutex());
    if (shim.Watches(path) && shim.Fails("o", "open", path)) return nullptr;
  }
  return Next<FILE* (*)(const char*, const char*)>("fopen64")(name, mode);
}

}  // extern "C"
