import ControlAPI
import Foundation
import Testing

@testable import ControlClient

@Suite struct RunViewTests {
  private func rows(_ run: String, _ steps: Range<Int>) -> CurveTables {
    var tables = CurveTables(run: run)
    tables.training.step = Array(steps)
    tables.training.metrics["perplexity"] = steps.map { $0 == 3 ? nil : 300 / Double($0 + 1) + 5 }
    return tables
  }

  private func job(_ state: Job.State, error: String? = nil) -> Job {
    var job = Job(id: 3, name: "a", state: state, submitted: 0)
    job.error = error
    return job
  }

  private func text(_ view: RunView, width: Int = 100, height: Int = 40) -> String {
    view.screen(width: width, height: height, .braille).map(\.text).joined(separator: "\n")
  }

  @Test func aRunIsShown() {
    var view = RunView()
    view.jobID = 3
    view.apply(.job(job(.running)))
    view.apply(.status(.example()))
    view.replaceCurves(rows("a", 0..<10))
    view.apply(.log(LogLine(time: 0, level: .warning, message: "step 4 was skipped")))
    let text = text(view)
    for part in [
      "job 3  a  training", "step 10 of 100  epoch 1/7  10 %  1m05s left", "perplexity 6.5000", "12.3k tokens/s",
      "rate 0.01", "training  o validation", "step 9", "node1  10.0 ms  2.0 ms  ########..", "step 4 was skipped",
    ] { #expect(text.contains(part), "\"\(part)\" in \(text)") }
    #expect(
      view.progress
        == "epoch 1/7  step 10/100  perplexity 6.5000  rate 0.01  12.3k tokens/s  1m05s left")
  }

  @Test func aScreenFitsEverySize() {
    var view = RunView()
    view.apply(.status(.example(ranks: 40)))
    view.replaceCurves(rows("a", 0..<1000))
    for index in 0..<100 { view.apply(.log(LogLine(time: 0, level: .info, message: "line \(index)"))) }
    for width in stride(from: 1, through: 150, by: 7) {
      for height in 1...60 {
        let lines = view.screen(width: width, height: height, .braille)
        #expect(lines.count <= height)
        for line in lines {
          #expect(line.rendered(width: width, coloured: false).count <= width)
          let bare = line.rendered(width: width, coloured: true).replacing(/\u{1B}\[[0-9]*m/, with: "")
          #expect(bare == line.rendered(width: width, coloured: false))
        }
      }
    }
    // Where there is room, the last note is among what is seen.
    #expect(text(view).contains("line 99") && text(view).contains("and 33 more"))
  }

  @Test func whatOthersWroteDoesNotReachTheTerminal() {
    var view = RunView()
    var status = Status.example(name: "a\u{1B}[2Jb", mode: .run)
    status.ranks = [RankStatus(rank: 0, host: "n\rx")]
    view.apply(.status(status))
    let line = view.apply(
      .sample(SampleText(step: 1, prompt: "\u{1B}]0;x\u{7}", temperature: 1, seed: 1, text: "a\nb\u{202E}\u{9B}2J")))
    let shown = text(view) + (line?.text ?? "")
    #expect(shown.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 && $0.value != 0x9B || $0 == "\n" })
    #expect(!shown.contains("\u{202E}") && shown.contains("a [2Jb") && shown.contains("a b"))
  }

  @Test func aJobIsFollowedThroughItsStates() {
    var view = RunView()
    view.jobID = 3
    #expect(view.progress == "waiting for the daemon")
    view.apply(.status(.example(name: "other")))
    #expect(view.apply(.job(job(.waiting)))?.text == "job 3 (a) is waiting")
    // Another run has the ranks: it is not shown as this one.
    #expect(view.progress == "job 3 (a) is waiting" && view.run == nil)
    #expect(!text(view).contains("perplexity"))
    #expect(view.apply(.job(job(.waiting))) == nil)
    #expect(view.apply(.job(Job(id: 4, name: "b", state: .failed, submitted: 0))) == nil)
    #expect(view.apply(.job(job(.running)))?.text == "job 3 (a) is running")
    view.apply(.status(.example(name: "a")))
    #expect(view.progress.hasPrefix("epoch 1/7"))
    #expect(view.apply(.job(job(.failed, error: "no memory")))?.text == "job 3 (a) is failed: no memory")
  }

  @Test func curvesGoOnAndBeginAfresh() throws {
    func columns(_ view: RunView) -> String {
      text(view).split(separator: "\n").last { $0.contains("step ") }.map(String.init) ?? ""
    }
    var view = RunView()
    view.apply(.status(.example(ranks: 0)))
    view.replaceCurves(rows("a", 0..<10))
    let before = text(view)
    // Rows that come twice, as after a connection was lost, change nothing.
    view.apply(.curves(rows("a", 5..<10)))
    #expect(text(view) == before)
    view.apply(.curves(rows("a", 10..<21)))
    #expect(columns(view).hasSuffix("step 20"))
    view.apply(.curves(rows("b", 0..<5)))
    #expect(columns(view).hasSuffix("step 4"))
    // Many more than are kept.
    view.apply(.curves(rows("b", 5..<100_000)))
    #expect(columns(view).hasSuffix("step 99999"))
  }

  @Test func anOutageIsTold() {
    var view = RunView()
    view.apply(.status(.example()))
    view.outage = .init(reason: "it is gone", seconds: 61)
    #expect(text(view).hasPrefix("no connection for 1m01s, trying again: it is gone\n"))
    view.outage = nil
    #expect(text(view).hasPrefix("a  training"))
  }

  /// As the status says: where a straggler begins is known to the run.
  @Test func theRankThatAllWaitForIsMarked() throws {
    func lines(_ steps: [Double], straggler: Int? = nil, most: Int = 10) -> [String] {
      StatusText.ranks(
        steps.enumerated().map {
          RankStatus(rank: $0.offset, host: "n", stepSeconds: $0.element, isStraggler: $0.offset == straggler)
        }, most: most
      ).map(\.text)
    }
    #expect(lines([0.010, 0.011, 0.020], straggler: 2).filter { $0.hasSuffix("slow") }.map { $0.prefix(1) } == ["2"])
    #expect(!lines([0.010, 0.011, 0.012]).contains { $0.hasSuffix("slow") })
    #expect(!lines([0.010]).contains { $0.hasSuffix("slow") })
    #expect(lines([]).isEmpty)
    // A daemon of before says nothing of it.
    let old = Data(#"{"rank":1,"host":"n","role":"training","stepSeconds":1,"waitSeconds":2}"#.utf8)
    let known = RankStatus(rank: 1, host: "n", stepSeconds: 1, waitSeconds: 2)
    #expect(try JSONDecoder().decode(RankStatus.self, from: old) == known)
    // Of many, the slowest are shown.
    #expect(
      lines([1, 2, 3, 4, 5].map { $0 / 100 }, most: 3).map { String($0.prefix(5)) } == [
        "", "rank ", "4    ", "3    ", "and 3",
      ])
  }

  @Test func valuesAreReadable() {
    for (seconds, text) in [
      (0.04, "0.0s"), (4.24, "4.2s"), (59.4, "59s"), (65, "1m05s"), (7800, "2h10m"), (273_600, "3d04h"),
      (.nan, "?"), (.infinity, "?"), (1e300, "?"),
    ] { #expect(Readable.duration(seconds) == text) }
    for (value, text) in [(6.34567, "6.3457"), (63.4567, "63.46"), (6345.67, "6346"), (1e9, "1e+09"), (.nan, "nan")] {
      #expect(Readable.number(value) == text)
    }
    #expect(Readable.number(nil) == "-")
    #expect(Readable.clock(.infinity) == "?" && Readable.date(1e300) == "?")
    #expect(Readable.date(0).hasPrefix("19"))
    #expect(Readable.table([["a", "bb"], ["ccc", ""]]) == ["a    bb", "ccc"])
  }
}
