import Glibc

/// The table of this process's open files, pipes and sockets.
public enum Descriptors {
  /// More than any part of the programs needs. What loops over all that may be open, as programs do that start others, still
  /// takes no time.
  private static let enough: rlim_t = 65_536

  /// Raises the soft limit as far as the hard one lets it, which the system keeps low for programs that use `select`: no file
  /// should fail to open because a thousand clients are connected.
  public static func raiseLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    let wanted = min(limit.rlim_max, enough)
    guard limit.rlim_cur < wanted else { return }
    limit.rlim_cur = wanted
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// Keeps an open descriptor from programs that this process starts.
  public static func closeOnExec(_ descriptor: Int32) {
    let result = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    precondition(result == 0, "\(descriptor) is not open")
  }

  /// Keeps all that are open, but the standard streams, from programs that this process starts: also those that libraries
  /// open without saying so, and those that this process was given itself.
  public static func closeAllOnExec() {
    for name in (try? FileSystem.list("/proc/self/fd")) ?? [] {
      // That of the listing itself is gone already.
      if let descriptor = Int32(name), descriptor > STDERR_FILENO { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    }
  }
}
