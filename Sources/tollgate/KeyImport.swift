import ArgumentParser
import Events

extension Key {
    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "import",
            abstract: "Bring keys from elsewhere, by the hashes of their secrets.",
            discussion: """
                Example:
                  tollgate key import keys.jsonl --reason 'from the old gateway'

                A key a line, as APPEND key.created takes it, with the SHA-256 of the whole secret:
                  {"account":"acme/ml/prod","owner":"ana","secret_sha256":"5e88…42d8"}

                The secrets go on working and nobody learns them here. The file is read to its end
                before anything is appended; what the daemon refuses is named by its line, and the
                rest is taken. A second import of the same file changes nothing.
                """)
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var format: FormatOptions
        @Argument(help: ArgumentHelp("The file; - for stdin.", valueName: "file"))
        var path: String
        @Option(help: ArgumentHelp("Why; it stands in every event.", valueName: "text"))
        var reason: String?
        @Flag(help: "Read the file and say what is in it; append nothing.") var dryRun = false

        func run() throws {
            let file = String(decoding: try InputFile.data(path), as: UTF8.self)
            let lines = try KeyFile.lines(file, reason: reason)
            if dryRun {
                report(taken: 0, unchanged: 0, refused: [], wouldTake: lines.count)
                return
            }
            let client = try connection.connect()
            var known = Set<String>()
            for item in try client.list("keys") { known.insert(item.cell("account")) }
            let replies = try client.pipeline(
                lines.map { ["APPEND", "key.created", $0.payload.compact] })
            var taken = 0
            var refused: [String] = []
            for (line, reply) in zip(lines, replies) {
                if case .error(let code, let text) = reply {
                    let why =
                        code == "CONFLICT" && line.isNamedBySecret
                        ? "this secret was imported before, as another key or with other fields; "
                            + "'tollgate key list' shows what there is" : "\(code) \(text)"
                    refused.append("line \(line.number), \(line.account): \(why)")
                } else if !known.contains(line.account) {
                    taken += 1
                }
            }
            report(taken: taken, unchanged: lines.count - taken - refused.count, refused: refused)
            guard refused.isEmpty else {
                throw CommandFailure(.failure, "the daemon refused \(refused.count) of the keys")
            }
        }

        private func report(taken: Int, unchanged: Int, refused: [String], wouldTake: Int = 0) {
            if format.json {
                JSON.object([
                    JSON.Member("taken", .integer(Int64(taken))),
                    JSON.Member("unchanged", .integer(Int64(unchanged))),
                    JSON.Member("would_take", .integer(Int64(wouldTake))),
                    JSON.Member("refused", .strings(refused)),
                ]).print()
                return
            }
            var table = Table([.number("COUNT"), .text("WHAT")])
            if dryRun {
                table.add(["\(wouldTake)", "keys in the file"])
            } else {
                table.add(["\(taken)", "keys taken"])
                if unchanged > 0 { table.add(["\(unchanged)", "keys there already"]) }
                if !refused.isEmpty { table.add(["\(refused.count)", "refused by the daemon"]) }
            }
            table.print()
            for line in refused.prefix(10) { Console.note("refused: \(line)") }
            if refused.count > 10 { Console.note("… and \(refused.count - 10) more: --json") }
        }
    }
}

/// A file of keys from elsewhere.
enum KeyFile {
    struct Line {
        var number: Int
        var account: String
        var payload: JSON
        /// Its id was made of the secret's hash, not given in the file.
        var isNamedBySecret: Bool
    }

    static func lines(_ file: String, reason: String?) throws(CommandFailure) -> [Line] {
        var lines: [Line] = []
        var places: [String: Int] = [:]
        var secrets: [String: Int] = [:]
        var number = 0
        for row in file.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            guard row.contains(where: { !$0.isWhitespace }) else { continue }
            let payload = try members(String(row), number)
            let account = try text(of: "account", payload, number)
            let digest = try text(of: "secret_sha256", payload, number).lowercased()
            guard digest.utf8.count == 64, digest.allSatisfy(\.isHexDigit) else {
                throw CommandFailure(
                    .data,
                    "line \(number): secret_sha256 is no 64 hexadecimal digits: hash the secret "
                        + "with printf %s SECRET | sha256sum")
            }
            if let earlier = places.updateValue(number, forKey: account) {
                throw CommandFailure(
                    .data, "line \(number): account \(account) stands in line \(earlier) already")
            }
            if let earlier = secrets.updateValue(number, forKey: digest) {
                throw CommandFailure(
                    .data,
                    "line \(number): its secret_sha256 stands in line \(earlier) already; a secret "
                        + "names one key")
            }
            var all = payload
            if let reason, !all.contains(where: { $0.name == "reason" }) {
                all.append(JSON.Member("reason", .string(reason)))
            }
            // The same key of the same file is the same event, however often it is imported.
            let isNamedBySecret = !all.contains { $0.name == "id" }
            if isNamedBySecret {
                all.append(JSON.Member("id", .string("import \(digest.prefix(32))")))
            }
            lines.append(
                Line(
                    number: number, account: account, payload: .object(all),
                    isNamedBySecret: isNamedBySecret))
        }
        guard !lines.isEmpty else {
            throw CommandFailure(.data, "the file names no key: a JSON object a line, a key each")
        }
        return lines
    }

    private static func members(
        _ row: String, _ number: Int
    ) throws(CommandFailure) -> [JSON.Member] {
        guard let members = try InputFile.json(row, of: "line \(number)").members else {
            throw CommandFailure(
                .data, "line \(number) is no JSON object such as {\"account\":…}")
        }
        return members
    }
    private static func text(
        of name: String, _ payload: [JSON.Member], _ number: Int
    ) throws(CommandFailure) -> String {
        guard let text = payload.first(where: { $0.name == name })?.value.string else {
            throw CommandFailure(.data, "line \(number) has no text \"\(name)\"")
        }
        return text
    }
}
