import ControlAPI
import Files
import Testing

/// JSON is judged before it is decoded, in every place that reads what others wrote.
@Suite struct StrictJSONTests {
  private func fault(_ text: String, values: Int = 100) -> String? {
    do {
      try StrictJSON.check(text, bytes: 1 << 20, values: values)
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test(arguments: [
    "{}", "[]", " [ ] ", "0", "null", "\"\"", "\"a\\\"b\"", #"{"a":1,"b":[true,false,null,-1.5e3],"c":{"a":"}"}}"#,
    "[[1],[2]]\n", #"{"a\\":1,"a":2}"#, "{\"\u{301}\":1,\"e\u{301}\":2,\"\u{E9}\":3}",
  ]) func whatIsJSONPasses(text: String) { #expect(fault(text) == nil, "\(text)") }

  @Test(arguments: [
    ("", "byte 0: expected a value, found the end"), ("[1,]", "byte 3: expected a value, found ']'"),
    (#"{"a":1,}"#, "byte 7: expected a text in quotes, found '}'"), ("[,]", "byte 1: expected a value, found ','"),
    (#"{"a":1,"a":2}"#, "byte 7: expected each name once, found 'a' again"),
    (#"{"a":1,"\u0061":2}"#, "expected each name once, found 'a' again"), ("[1 2]", "byte 3: expected ',' or ']'"),
    (#"{"x":{"a":1,"b":2,"a":3}}"#, "found 'a' again"), ("{} {}", "byte 3: expected the end, found '{'"),
    (#"{"a"}"#, "expected ':'"), ("{1:2}", "expected a text in quotes"), ("\"abc", "expected a quote"),
    ("\"abc\\\"", "expected a quote"), ("[1", "found the end of the text"), (#"{"\q":1}"#, "other escapes"),
  ]) func whatIsNotIsRefused(text: String, says: String) {
    #expect(fault(text)?.contains(says) == true, "\(text): \(fault(text) ?? "taken")")
  }

  @Test func sizeAndDepthAreBounded() throws {
    for text in ["[", "{\"a\":"] {
      #expect(fault(String(repeating: text, count: 100_000))?.contains("fewer lists and objects") == true)
    }
    #expect(fault(String(repeating: "[", count: 16) + String(repeating: "]", count: 16)) == nil)
    #expect(fault("[" + String(repeating: "1,", count: 200) + "1]")?.contains("fewer values") == true)
    #expect(fault(String(repeating: " ", count: 2 << 20))?.contains("at most 1048576 bytes, found 2097152") == true)
  }

  @Test(arguments: [
    #"{"length": 2,}"#, #"{"length": 2, "length": 3}"#, #"{"prompt": "a", "length": 1, "prompt": "b"}"#,
    #"{"length": [2,], "x": 1}"#, "[" + String(repeating: "[", count: 60_000),
  ]) func requestsAreJudged(body: String) throws {
    let server = try TestServer()
    let answer = try server.request("POST", "/v1/generate", body: body)
    #expect(answer.status == 400)
    #expect(try answer.decoded(ErrorBody.self).message.hasPrefix("the body is not valid JSON: byte "))
  }
}
