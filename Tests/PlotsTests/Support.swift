import FoundationXML
import Foundation
import Testing

@testable import Plots

/// An element of an SVG file, as a parser that knows nothing of its writer sees it.
struct Element {
  let name: String
  let attributes: [String: String]
  var text = ""

  func number(_ attribute: String) -> Double { attributes[attribute].flatMap(Double.init) ?? .nan }
}

/// All elements of a picture, in order; fails the test if it is not XML.
func elements(_ svg: String, sourceLocation: SourceLocation = #_sourceLocation) -> [Element] {
  let reader = ElementReader()
  let parser = XMLParser(data: Data(svg.utf8))
  parser.delegate = reader
  #expect(parser.parse(), "\(String(describing: parser.parserError))", sourceLocation: sourceLocation)
  return reader.elements
}

private final class ElementReader: NSObject, XMLParserDelegate {
  var elements: [Element] = []
  private var open: [Int] = []

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    open.append(elements.count)
    elements.append(Element(name: name, attributes: attributes))
  }

  func parser(_ parser: XMLParser, foundCharacters text: String) {
    if let last = open.last { elements[last].text += text }
  }

  func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
    open.removeLast()
  }
}

extension [Element] {
  func texts() -> [String] { filter { $0.name == "text" }.map(\.text) }

  /// Places on all paths of a colour that are `width` wide.
  func places(stroke: String, width: Double) -> [[Place]] {
    filter { $0.name == "path" && $0.attributes["stroke"] == stroke && $0.number("stroke-width") == width }
      .flatMap { Self.pieces($0.attributes["d"] ?? "") }
  }

  /// What `Polyline.path` writes: "M1 2L3 4 5 6M7 8h0".
  private static func pieces(_ path: String) -> [[Place]] {
    path.split(separator: "M").map { piece in
      let numbers = piece.split { "L h".contains($0) }.compactMap { Double($0) }
      return stride(from: 0, to: numbers.count - 1, by: 2).map { Place(x: numbers[$0], y: numbers[$0 + 1]) }
    }
  }
}

func points(_ values: [Double]) -> [LineChart.Point] {
  values.enumerated().map { LineChart.Point(x: Double($0), y: $1) }
}

extension LineChart {
  /// A chart with all its words.
  static func labelled(_ series: [Series]) -> LineChart {
    var chart = LineChart()
    chart.title = "a title"
    chart.xLabel = "step"
    chart.yLabel = "perplexity"
    chart.thinLabel = "training"
    chart.thickLabel = "validation"
    chart.bestLabel = "best"
    chart.series = series
    return chart
  }
}
