import Foundation

/// The Slurm job that this process is part of, if it is.
public enum SlurmJob {
  /// Seconds until the job's time is over; nil outside a job, or where nobody says.
  ///
  /// Newer versions say when in the environment, as seconds since 1970; others are asked by `squeue`.
  public static func secondsLeft(environment: [String: String] = ProcessInfo.processInfo.environment) -> Double? {
    if let end = environment["SLURM_JOB_END_TIME"].flatMap(Double.init) { return end - Date().timeIntervalSince1970 }
    guard let job = number(environment) else { return nil }
    return CommandOutput.of(["squeue", "--noheader", "--jobs", job, "--format", "%L"]).flatMap(seconds)
  }

  /// The job as `squeue` and `scontrol` know it. Of an array it is this task of it: one of the tasks has the array's own
  /// number in SLURM_JOB_ID, which stands for all of them.
  static func number(_ environment: [String: String]) -> String? {
    if let array = environment["SLURM_ARRAY_JOB_ID"], let task = environment["SLURM_ARRAY_TASK_ID"] {
      return "\(array)_\(task)"
    }
    return environment["SLURM_JOB_ID"] ?? environment["SLURM_JOBID"]
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
