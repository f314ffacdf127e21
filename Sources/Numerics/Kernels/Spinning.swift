import Glibc

/// Has threads that wait for each other sleep after a short spin. Call it first of all: it may start the program again.
///
/// OpenMP (libgomp) lets them spin for 300,000 turns, some milliseconds. Beside another program they so take the core from the
/// very thread that they wait for, at each of the hundreds of waits of a step. libgomp reads the number when it is loaded,
/// before any of our code runs: so the program replaces itself, once, by itself with the variable set. Whoever has set
/// `OMP_WAIT_POLICY` or `GOMP_SPINCOUNT` keeps what they say.
public func limitSpinning() {
  guard getenv("OMP_WAIT_POLICY") == nil, getenv("GOMP_SPINCOUNT") == nil else { return }
  var path = [CChar](repeating: 0, count: Int(PATH_MAX))
  guard readlink("/proc/self/exe", &path, path.count - 1) > 0 else { return }
  setenv("GOMP_SPINCOUNT", "\(spinTurns)", 1)
  // If the restart fails, the program continues and spins for longer.
  execv(path, CommandLine.unsafeArgv)
}

/// 20 to 50 us. Threads that share the work of a step mostly come closer together than that.
private let spinTurns = 1_000
