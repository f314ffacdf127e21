import Foundation

/// The Slurm job that this process is part of, if it is.
enum SlurmJob {
  /// Seconds until the job's time is over; nil outside a job, or where nobody says.
  ///
  /// Newer versions say when in the environment, as seconds since 1970; others are asked by `squeue`.
  static func secondsLeft(environment: [String: String] = ProcessInfo.processInfo.environment) -> Double? {
    if let end = environment["SLURM_JOB_END_TIME"].flatMap(Double.init) { return end - Date().timeIntervalSince1970 }
    guard let job = environment["SLURM_JOB_ID"] ?? environment["SLURM_JOBID"] else { return nil }
    return CommandOutput.of(["squeue", "--noheader", "--jobs", job, "--format", "%L"]).flatMap(seconds)
  }

  /// What squeue writes for time left: `days-hours:minutes:seconds`, the first parts left out where they are nothing, or a
  /// word where there is no limit.
  static func seconds(_ text: String) -> Double? {
    let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    let clock = parts.last?.split(separator: ":").map { Double($0) } ?? []
    guard (1...2).contains(parts.count), (1...3).contains(clock.count), !clock.contains(nil) else { return nil }
    let seconds = clock.reduce(0) { $0 * 60 + ($1 ?? 0) }
    guard parts.count == 2 else { return seconds }
    return Double(parts[0]).map { $0 * 86_400 + seconds }
  }
}
