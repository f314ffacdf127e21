import ControlAPI
import Files
import Foundation
import Glibc

/// Where a daemon is asked.
public enum ControlAddress: Equatable, Sendable {
  /// The Unix socket of the daemon of a folder: its own, or that of one run.
  case folder(String)
  /// TCP, with the file that holds the token. `url` as in `http://node17:8080`, without a path.
  case tcp(url: String, tokenFile: String)

  /// Throws `ControlError` when `address` is not one of a server.
  public static func tcp(address: String, tokenFile: String) throws -> Self {
    _ = try hostAndPort(of: address)
    return .tcp(url: address.hasSuffix("/") ? String(address.dropLast()) : address, tokenFile: tokenFile)
  }

  /// Throws `ControlError`.
  private static func hostAndPort(of url: String) throws -> TCPAddress {
    guard let parts = URLComponents(string: url), parts.scheme == "http", let host = parts.host, !host.isEmpty,
      (1...65535).contains(parts.port ?? 80), ["", "/"].contains(parts.path), parts.query == nil, parts.fragment == nil
    else {
      let hint = url.hasPrefix("https:") ? "; a daemon speaks no TLS, but a tunnel leads to it (ssh -L)" : ""
      throw ControlError(
        .unexpected, "'\(url)' is no address of a daemon: expected one as in http://127.0.0.1:8080\(hint)")
    }
    return TCPAddress(host: host.trimmingCharacters(in: ["[", "]"]), port: parts.port ?? 80)
  }

  /// What is connected to, as it is now: a daemon that was started again may have another socket and another token.
  struct Endpoint {
    /// For people.
    let name: String
    let target: HTTPTransport.Target
    let headers: [(String, String)]
  }

  /// Throws `ControlError`.
  func endpoint() throws -> Endpoint {
    switch self {
    case .folder(let folder):
      let socket = try socket(of: folder)
      // A server may ask for a host even where there is none.
      return Endpoint(name: socket, target: .socket(path: socket), headers: [("Host", "localhost")])
    case .tcp(let url, let tokenFile):
      let token = try Self.token(in: tokenFile)
      let address = try Self.hostAndPort(of: url)
      let host = address.port == 80 ? String(address.description.dropLast(":80".count)) : address.description
      return Endpoint(
        name: url, target: .tcp(address), headers: [("Host", host), ("Authorization", "Bearer \(token)")])
    }
  }

  private func socket(of folder: String) throws -> String {
    do {
      let path = try ControlSocket.path(for: folder)
      // Looked at before it is connected to, since a system call's answer says more than a library's.
      _ = try FileSystem.status(path)
      return path
    } catch let error as FileError where error.code == ENOENT || error.code == ENOTDIR {
      throw noDaemon(in: folder)
    } catch let error as FileError {
      throw ControlError(.unreachable, "\(error)")
    }
  }

  private func noDaemon(in folder: String) -> ControlError {
    guard FileSystem.exists(folder) else {
      return ControlError(
        .unreachable,
        "there is no folder \(folder), so no daemon has it: name the daemon's folder with --directory, or start one "
          + Self.howToStart(folder))
    }
    let runs = ((try? FileSystem.list(folder)) ?? []).map { "\(folder)/\($0)" }
      .filter { (try? ControlSocket.path(for: $0)).map(FileSystem.exists) ?? false }
    let hint =
      runs.isEmpty ? "" : "; there is one of a run: --directory \(runs.prefix(3).joined(separator: " or "))"
    return ControlError(.unreachable, "no daemon has the folder \(folder)\(hint). Start one \(Self.howToStart(folder))")
  }

  static func howToStart(_ folder: String) -> String { "with: mpirun -n 2 lockstepd serve --directory \(folder)" }

  private static func token(in path: String) throws -> String {
    let text: String
    do {
      text = try MappedFile.withBytes(of: path) { String(decoding: $0.prefix(4096), as: UTF8.self) }
    } catch let error as FileError {
      throw ControlError(.unreachable, "\(error)")
    }
    let token = text.trimmingCharacters(in: .whitespacesAndNewlines)
    guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw ControlError(
        .unreachable,
        "\(path) has no token: expected the file that the daemon made when it was started, control.token in its folder")
    }
    return token
  }
}
