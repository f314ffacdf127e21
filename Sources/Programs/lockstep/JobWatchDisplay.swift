import ControlClient
import Foundation
import Runs
import Terminal

/// Where a watched run is shown.
protocol WatchDisplay: Sendable {
  /// `interval` is the time between lines that say how it stands.
  init(interval: Duration)

  mutating func begin()
  /// An event as it came.
  mutating func show(_ event: StreamedEvent)
  /// A line that stays.
  mutating func show(_ line: StyledLine)
  /// How it stands now; `isLast` when nothing will come after it.
  mutating func refresh(_ view: RunView, isLast: Bool)
  /// Also after an error.
  mutating func end()
}

extension WatchDisplay {
  mutating func begin() {}
  mutating func show(_ event: StreamedEvent) {}
  mutating func show(_ line: StyledLine) {}
  mutating func end() {}
}

/// Every event, one JSON object a line.
struct WatchJSON: WatchDisplay {
  init(interval: Duration) {}

  mutating func show(_ event: StreamedEvent) { Console.output(event.json + "\n") }
  mutating func refresh(_ view: RunView, isLast: Bool) {}
}

/// A line every few seconds, and what happens at once: for a file or a pipe.
struct WatchLines: WatchDisplay {
  private let interval: Duration
  private var next = ContinuousClock.now
  private var lastProgress = ""
  private var isConnected = true

  init(interval: Duration) { self.interval = interval }

  mutating func show(_ line: StyledLine) { write(line.text) }

  mutating func refresh(_ view: RunView, isLast: Bool) {
    if (view.outage == nil) != isConnected {
      isConnected = view.outage == nil
      write(view.outage.map { "no connection, trying again: \($0.reason)" } ?? "connected again")
    }
    guard isConnected, view.status != nil, view.progress != lastProgress, isLast || .now >= next else { return }
    write(view.progress)
    lastProgress = view.progress
    next = .now + interval
  }

  private func write(_ text: String) { Console.output(text + "\n") }
}

/// A screen that is drawn over itself where the cursor is, so that what was in the terminal stays above it.
struct WatchScreen: WatchDisplay {
  private struct Size: Equatable {
    var width = 80
    var height = 24
  }

  private var drawnRows = 0
  private var drawnSize: Size?
  private var nextDrawing = ContinuousClock.now

  /// Events may come by the hundred: so often is fluent.
  private static let shortestInterval = Duration.milliseconds(200)
  /// Of ECMA-48 and DEC: lines are cut at the right margin rather than wrapped while they are drawn.
  private static let hideCursor = "\u{1B}[?25l"
  private static let showCursor = "\u{1B}[?25h"
  private static let cutLines = "\u{1B}[?7l"
  private static let wrapLines = "\u{1B}[?7h"

  init(interval: Duration) {}

  mutating func begin() { Console.output(Self.hideCursor) }

  mutating func refresh(_ view: RunView, isLast: Bool) {
    let size = Self.size
    let hasNewSize = drawnSize != nil && drawnSize != size
    guard isLast || hasNewSize || .now >= nextDrawing else { return }
    nextDrawing = .now + Self.shortestInterval
    var text = Self.cutLines
    if hasNewSize {
      // How a terminal has wrapped what was drawn at the old size is its own affair: begin afresh.
      text += "\u{1B}[H\u{1B}[2J"
    } else if drawnRows > 0 {
      text += "\u{1B}[\(drawnRows)A"
    }
    // The last row stays free for the cursor: at the lower edge everything would move up.
    let lines = view.screen(width: size.width, height: max(1, size.height - 1), Self.characters)
    for line in lines {
      // Cleared first: behind a full line the cursor is still on its last character.
      text += "\r\u{1B}[K" + line.rendered(width: size.width, coloured: Console.outputIsColoured) + "\n"
    }
    Console.output(text + "\u{1B}[J" + Self.wrapLines)
    (drawnRows, drawnSize) = (lines.count, size)
  }

  mutating func end() { Self.restore() }

  /// Gives the terminal back as it was.
  static func restore() {
    if Console.outputIsTerminal { Console.output(wrapLines + showCursor) }
  }

  private static var size: Size {
    Console.terminalSize.map { Size(width: $0.width, height: $0.height) } ?? Size()
  }

  /// Braille where the terminal's encoding has it, which is everywhere that does not say otherwise.
  private static let characters: CurvePlot.Characters = {
    let environment = ProcessInfo.processInfo.environment
    let encoding = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
    guard let encoding = encoding?.lowercased() else { return .braille }
    return encoding.contains("utf-8") || encoding.contains("utf8") ? .braille : .ascii
  }()
}
