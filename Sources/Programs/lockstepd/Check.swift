import ArgumentParser
import Foundation
import Hosts
import MPI
import ProgramOptions
import Reporting
import Runs
import Terminal

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Says what this host has: program, Open MPI, cores, memory, and of a run the corpus and checkpoints.",
    discussion: """
      Starts no MPI, and changes nothing. `lockstep launch` asks every host so before it starts ranks there.

        lockstepd check
        lockstepd check configs/ptb-small.yaml --format json
        ssh node2 lockstepd check --format json - < configs/ptb-small.yaml
      """)

  @Argument(
    help: "The configuration of a run, a YAML file, or - for standard input.",
    completion: .file(extensions: ["yaml", "yml"]))
  var configuration: String?

  @Option(
    name: .customLong("set"), parsing: .singleValue,
    help: ArgumentHelp(
      "Overrides one key of the file, such as training.epochs=3. May be repeated.", valueName: "key=value"))
  var settings: [String] = []

  @Option(help: "The mpirun whose version is reported.", completion: .file())
  var mpirun: String?

  @Option(help: "What is printed: text for people, json for programs.")
  var format: LogFormat = .text

  func run() throws {
    let report = try HostReport.current(
      library: World.library, mpirun: mpirun,
      run: configuration.map { try RunOptions.readConfiguration($0, settings: settings) })
    Console.output(format == .json ? try jsonText(report) + "\n" : text(report))
    try Console.checkOutput()
  }

  private func text(_ report: HostReport) -> String {
    var rows = [
      ("host", report.name), ("lockstep", "\(report.program), SHA-256 \(report.digest.prefix(16))…"),
      ("Open MPI", report.library + (report.mpirun.map { ", mpirun \($0)" } ?? "")),
      ("cores", "\(report.cores.count)\(report.cores.isWhole ? "" : ", a part of this machine's")"),
      ("memory", "\(report.memory / 1_000_000) MB free, \(report.sharedMemory / 1_000_000) MB of /dev/shm"),
    ]
    switch report.corpus {
    case .prepared(let fingerprint): rows.append(("corpus", "prepared, fingerprint \(fingerprint)"))
    case .text: rows.append(("corpus", "text, not prepared yet"))
    case .missing(let reason): rows.append(("corpus", "none: \(reason)"))
    case nil: break
    }
    if configuration != nil { rows.append(("checkpoint", report.checkpoint.map { "step \($0)" } ?? "none")) }
    return rows.map { "\($0.padding(toLength: 12, withPad: " ", startingAt: 0))\($1)\n" }.joined()
  }
}
