package import Foundation

/// An answer that is not what it should be.
package struct Unexpected: Error, CustomStringConvertible {
    package let description: String
    package init(description: String) { self.description = description }
}
private func wanted<Value>(_ value: Value?, _ what: @autoclosure () -> String) throws -> Value {
    guard let value else { throw Unexpected(description: what()) }
    return value
}

extension Client {
    package func append(_ type: String, _ payload: String) throws -> [String: Any] {
        let reply = try ask(frame: ["APPEND", type, payload])
        return try wanted(reply.json as? [String: Any], "\(type): \(reply)")
    }
    /// All events from a seq on, page by page.
    package func events(from: Int = 1) throws -> [[String: Any]] {
        var all: [[String: Any]] = []
        while true {
            let reply = try ask("EVENTS from=\(from + all.count) limit=10000")
            let page = try wanted(reply.json as? [[String: Any]], "\(reply)")
            if page.isEmpty { return all }
            all += page
        }
    }
    /// `INFO` by name.
    package func info() throws -> [String: String] {
        let lines = try ask("INFO").text.split(whereSeparator: \.isNewline)
        let pairs = lines.compactMap { line -> (String, String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (String(line[..<colon]), String(line[line.index(after: colon)...]))
        }
        return Dictionary(pairs) { $1 }
    }
    package func number(_ name: String) throws -> Int {
        try wanted(Int(info()[name] ?? ""), "\(name) of INFO")
    }
    /// What an account has used, is held and may: all of USAGE but the instants in it.
    package func usage(_ account: String) throws -> NSDictionary {
        let reply = try ask("USAGE \(account)")
        var all = try wanted(reply.json as? [String: Any], "\(reply)")
        all["at"] = nil
        all["seq"] = nil
        all["projected_month_end"] = nil
        return all as NSDictionary
    }
    /// One unit and window of USAGE: `money("acme", "usd.total", "used")`.
    package func money(_ account: String, _ limit: String, _ field: String) throws -> Decimal {
        let limits = try wanted(
            usage(account)["limits"] as? [String: [String: Any]], "the limits of \(account)")
        let text = try wanted(limits[limit]?[field] as? String, "\(limit) \(field) of \(account)")
        return try wanted(Decimal(string: text), text)
    }
}

extension [String: Any] {
    package func text(_ name: String) -> String { self[name] as? String ?? "" }
    package func number(_ name: String) -> Int { self[name] as? Int ?? -1 }
    package var type: String { text("type") }
    package var seq: Int { number("seq") }
}
