import Events
import Foundation
import Journal
import Testing

@testable import Audit

/// All of an export's bytes.
private func export(
    _ log: MemoryLog, _ change: (inout ExportJob) -> Void = { _ in }
) throws -> String {
    var job = ExportJob(range: 1...log.lastSeq)
    change(&job)
    var exporter = Exporter(log, job)
    var out = ByteBuffer()
    exporter.begin(into: &out)
    try log.readBatches(from: job.range.lowerBound, through: job.range.upperBound) {
        page throws(AuditFailure) in
        try exporter.export(page, into: &out)
        return true
    }
    exporter.end(into: &out)
    return out.string
}
/// The rows of a CSV file as RFC 4180 has them, read without any code of ours.
private func rows(csv text: String) -> [[String]] {
    var rows: [[String]] = [[""]]
    var isQuoted = false
    var wasQuote = false
    for c in text.unicodeScalars {
        if c == "\"" {
            // A second one in a row is a quote in the text.
            if wasQuote { rows[rows.count - 1][rows[rows.count - 1].count - 1] += "\"" }
            wasQuote = !isQuoted ? false : !wasQuote
            if !isQuoted { isQuoted = true }
            continue
        }
        if wasQuote { (isQuoted, wasQuote) = (false, false) }
        if !isQuoted, c == "," {
            rows[rows.count - 1].append("")
        } else if !isQuoted, c == "\n" {
            rows.append([""])
        } else if isQuoted || c != "\r" {
            rows[rows.count - 1][rows[rows.count - 1].count - 1].unicodeScalars.append(c)
        }
    }
    return rows.dropLast()
}
private func objects(_ text: String) throws -> [[String: Any]] {
    try text.split(separator: "\n").map { line in
        try #require(
            try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }
}
private func columns(_ names: String) throws -> [ExportField.Column] {
    try ExportField.columns(names)
}

@Suite struct `An export` {
    static let goldenFiles: [(String, ExportFormat, ExportTotals.Level?)] = [
        ("events.csv", .csv, nil), ("events.jsonl", .jsonl, nil),
        ("events.cloudevents.jsonl", .cloudevents, nil), ("events.ocsf.jsonl", .ocsf, nil),
        ("keys.csv", .csv, .key), ("teams.jsonl", .jsonl, .team),
    ]
    @Test(arguments: goldenFiles)
    func `is written as its golden file`(
        name: String, format: ExportFormat, level: ExportTotals.Level?
    ) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let golden = root.appendingPathComponent("schemas/exports/\(name)")
        let text = try export(try MemoryLog.story()) { job in
            (job.format, job.level) = (format, level)
        }
        #expect(text == (try String(contentsOf: golden, encoding: .utf8)))
    }

    @Test func `has the same columns in every row, whoever reads it`() throws {
        let log = try MemoryLog.story()
        let table = rows(csv: try export(log))
        #expect(table.count == Int(log.lastSeq) + 1)
        #expect(table[0] == ExportField.allCases.map { "\($0.name)" })
        #expect(table.allSatisfy { $0.count == table[0].count })
        let lines = try objects(try export(log) { $0.format = .jsonl })
        for (cells, line) in zip(table.dropFirst(), lines) {
            for (name, cell) in zip(table[0], cells) where name != "details" {
                let value = line[name].map { "\($0)" } ?? ""
                // A text that a spreadsheet would run is marked in CSV, and nowhere else.
                #expect(cell == value || cell == "'" + value, "\(name)")
            }
        }
    }
    @Test func `says in its other formats what these demand`() throws {
        let log = try MemoryLog.story()
        // CloudEvents 1.0 section 3.1: required, and unique together.
        let cloud = try objects(try export(log) { $0.format = .cloudevents })
        #expect(Set(cloud.map { "\($0["source"] ?? "") \($0["id"] ?? "")" }).count == cloud.count)
        for event in cloud {
            #expect(event["specversion"] as? String == "1.0")
            #expect((event["type"] as? String)?.hasPrefix("tollgate.") == true)
            #expect(event["data"] is [String: Any])
            #expect(event.keys.allSatisfy { $0.allSatisfy { $0.isLowercase || $0.isNumber } })
        }
        // OCSF 1.1.0, API Activity: what is required.
        for event in try objects(try export(log) { $0.format = .ocsf }) {
            let activity = try #require(event["activity_id"] as? Int)
            #expect(event["class_uid"] as? Int == 6_003 && event["category_uid"] as? Int == 6)
            #expect(event["type_uid"] as? Int == 600_300 + activity)
            #expect(event["severity_id"] is Int && event["time"] is Int)
            #expect((event["api"] as? [String: Any])?["operation"] is String)
            #expect((event["actor"] as? [String: Any])?["user"] is [String: Any])
            #expect((event["src_endpoint"] as? [String: Any])?.isEmpty == false)
            let metadata = try #require(event["metadata"] as? [String: Any])
            #expect(metadata["version"] as? String == "1.1.0" && metadata["product"] != nil)
        }
    }

    @Test(
        arguments: [
            ("=1+1", "'=1+1"), ("+49 30", "'+49 30"), ("-2", "'-2"), ("@sum", "'@sum"),
            ("\tx", "'\tx"), ("\rx", "\"'\rx\""), ("=\"a\"", "\"'=\"\"a\"\"\""), ("a=b", "a=b"),
            ("a,b", "\"a,b\""), ("say \"x\"", "\"say \"\"x\"\"\""), ("a\r\nb", "\"a\r\nb\""),
            ("", ""), ("ä", "ä"), (" =1", " =1"),
        ] as [(String, String)])
    func `neutralises formulas in CSV and quotes by RFC 4180`(text: String, cell: String) {
        var out = ByteBuffer()
        text.withBytes { out.append(cell: $0) }
        #expect(out.string == cell)
    }

    @Test(arguments: ExportFormat.allCases)
    func `says in no place what was left out of its fields`(format: ExportFormat) throws {
        let log = try MemoryLog.story()
        let whole = try export(log) { $0.format = format }
        let few = try export(log) { job in
            job.format = format
            job.columns = try! columns("seq,cost_usd")
        }
        for told in ["ada@example.com", "2001:db8::1", "curl", "0193cfa0", "acme", "gpt-4.1"] {
            #expect(whole.contains(told) && !few.contains(told), "\(told)")
        }
        guard format == .ocsf else { return }
        for event in try objects(few) {
            let user = (event["actor"] as? [String: Any])?["user"] as? [String: Any]
            #expect(user?["name"] as? String == "unknown")
            #expect((event["src_endpoint"] as? [String: Any])?["name"] as? String == "unknown")
        }
    }
    @Test(
        arguments: [
            ("192.0.2.1", "ip"), ("2001:db8::1", "ip"), ("::ffff:192.0.2.1", "ip"),
            ("dead.beef", "name"), ("1.2.3.4:5678", "name"), ("1.2.3", "name"),
            ("0000:0000:0000:0000:0000:0000:192.000.002.001:1", "name"),
        ])
    func `calls an address in OCSF what is one`(text: String, member: String) throws {
        let log = MemoryLog()
        _ = text.withBytes { address in log.place { $0.address = address } }
        let event = try #require(try objects(try export(log) { $0.format = .ocsf }).last)
        #expect((event["src_endpoint"] as? [String: Any])?[member] as? String == text)
    }

    // MARK: Fields

    @Test func `takes the fields by their names and by those of others`() throws {
        let guide =
            "timestamp,api_key_id,key_name,user_email,action,resource_type,resource_id,model,"
            + "input_tokens,output_tokens,cost_usd,ip_address,user_agent,request_id"
        let log = try MemoryLog.story()
        let text = try export(log) { job in
            job.columns = try! columns(guide)
            job.filter.types = [.holdSettled]
        }
        let table = rows(csv: text)
        #expect(table[0].joined(separator: ",") == guide)
        #expect(
            table[1] == [
                "2026-11-22T10:00:02.123456789Z", "acme/ml/prod", "prod", "ada@example.com",
                "settled", "model", "openai/gpt-4.1", "openai/gpt-4.1", "1200", "300", "0.0108",
                "2001:db8::1", "curl/8.5 \"x\", y", "0193cfa0-6e5f-7bc2-a32b-6a7c7d1f0e11",
            ])
        #expect(table.count == 3)
    }
    @Test func `lists the fields there are when one is unknown`() throws {
        let error = #expect(throws: AuditFailure.self) { try columns("seq,colour,cost") }
        #expect(error?.kind == .usage)
        #expect(error?.message.contains("\"colour\": the fields are seq, timestamp, ") == true)
        for field in ExportField.allCases {
            #expect(error?.message.contains("\(field.name)") == true)
        }
        #expect(throws: AuditFailure.self) { try columns("") }
        #expect(throws: AuditFailure.self) { try columns("seq,,model") }
        #expect(throws: AuditFailure.self) { try columns("cost,cost_usd") }
    }

    // MARK: Which events, and what they are joined with

    @Test func `has the same rows however the log is cut and wherever it begins`() throws {
        let log = try MemoryLog.story()
        let whole = try export(log) { $0.format = .jsonl }
        let lines = whole.split(separator: "\n")
        for batch in [1, 2, 7] {
            log.batchEvents = batch
            #expect(try export(log) { $0.format = .jsonl } == whole)
        }
        for first in 1...log.lastSeq {
            let rest = try export(log) { job in
                job.format = .jsonl
                job.range = first...log.lastSeq
            }
            #expect(rest.split(separator: "\n") == Array(lines[Int(first - 1)...]))
        }
    }
    @Test func `goes on where it was interrupted, and ends as if it had not been`() throws {
        let log = try MemoryLog.story()
        log.batchEvents = 3
        for format in ExportFormat.allCases {
            var job = ExportJob(range: 2...log.lastSeq)
            job.format = format
            job.filter.accounts = ["acme/ml"]
            var whole = Exporter(log, job)
            var out = ByteBuffer()
            whole.begin(into: &out)
            var marks: [(ExportMark, String)] = []
            try log.readBatches(from: 2) { page throws(AuditFailure) in
                try whole.export(page, into: &out)
                marks.append((whole.mark, out.string))
                return true
            }
            #expect(marks.count > 5)
            for (mark, before) in marks {
                var rest = Exporter(log, job, from: mark)
                var tail = ByteBuffer()
                try log.readBatches(from: mark.next) { page throws(AuditFailure) in
                    try rest.export(page, into: &tail)
                    return true
                }
                #expect(before + tail.string == out.string)
                #expect(rest.mark == whole.mark)
            }
        }
    }
    @Test func `holds the events of the accounts and types that were asked for`() throws {
        let log = try MemoryLog.story()
        func seqs(_ change: (inout ExportJob) -> Void) throws -> [String] {
            let text = try export(log) { job in
                job.columns = try! columns("seq,key")
                change(&job)
            }
            return rows(csv: text).dropFirst().map { $0[0] }
        }
        #expect(try seqs { $0.filter.accounts = ["zeta"] } == [])
        #expect(try seqs { $0.filter.accounts = ["acme/ml/test"] } == ["5", "10", "11", "12"])
        #expect(try seqs { $0.filter.types = [.orgCreated, .holdLapsed] } == ["2", "11"])
        // What an account's name begins with is not above it.
        #expect(try seqs { $0.filter.accounts = ["acme/m"] } == [])
        // What is left out is joined all the same.
        let late = try export(log) { job in
            job.columns = try! columns("user,model,cost_usd,replaced_usd")
            job.filter.types = [.holdSettled]
            job.filter.accounts = ["acme/ml/test"]
        }
        #expect(
            rows(csv: late).dropFirst() == [
                ["'+49 30 1234", "anthropic/claude-sonnet-4.5", "0.012", "0.0096"]
            ])
    }

    @Test func `adds up to what was charged in the end`() throws {
        let log = try MemoryLog.story()
        // A charge that took another's place counts once: 0.0096 corrected, 0.012 late, 0.004 charged.
        let lines = try objects(try export(log) { ($0.format, $0.level) = (.jsonl, .key) })
        let byKey = Dictionary(
            uniqueKeysWithValues: lines.map { ($0["key"] as? String ?? "?", $0) })
        #expect(byKey["acme/ml/prod"]?["cost_usd"] as? String == "0.0136")
        #expect(byKey["acme/ml/test"]?["cost_usd"] as? String == "0.012")
        #expect(byKey["acme/ml/prod"]?["requests"] as? Int == 4)
        #expect(byKey["acme/ml/prod"]?["refused"] as? Int == 41)
        #expect(byKey[""]?["refused"] as? Int == 1, "a key that nobody knows")
        let org = try objects(try export(log) { ($0.format, $0.level) = (.jsonl, .org) })
        #expect(org.first { $0["org"] as? String == "acme" }?["cost_usd"] as? String == "0.0256")
        // So do the rows.
        let table = rows(
            csv: try export(log) { $0.columns = try! columns("cost_usd,replaced_usd") })
        let sum = table.dropFirst().reduce(Decimal(0)) { sum, row in
            sum + (Decimal(string: row[0]) ?? 0) - (Decimal(string: row[1]) ?? 0)
        }
        #expect(sum == Decimal(string: "0.0256"))
    }

    @Test func `says what was billed for the charge whose place another takes`() throws {
        let log = MemoryLog()
        func billed(_ amount: Int64, _ currency: StaticString) -> Extras.Writer {
            var extras = Extras.Writer()
            extras.add(
                Extras.Billed(
                    amount: Nanodollars(amount), currency: Currency(Bytes(currency))!))
            return extras
        }
        func terms(_ rate: Int) throws {
            try log.document(
                .billingSet, of: AccountNumber(0),
                #"{"account": "acme", "currency": "CNY", "markup_ppm": 0, "rate": "\#(rate)"}"#)
        }
        try terms(7)
        let (late, early) = (log.place(), log.place())
        var lapsed = HoldLapsed(
            header: log.next(.holdLapsed, MemoryLog.prod), hold: late, tokens: 9,
            usd: Nanodollars(3_000_000_000))
        let lapse = billed(21_000_000_000, "CNY")
        lapsed.extras = lapse.extras
        log.add { lapsed.encode(into: &$0) }
        try terms(8)
        for (hold, flags) in [
            (late, HoldSettled.flags(outcome: .exact, tier: .standard, late: true)), (early, 0),
        ] {
            var settled = HoldSettled(
                header: log.next(.holdSettled, MemoryLog.prod, flags: flags), hold: hold,
                usage: TokenUsage(input: 1, output: 1), usd: Nanodollars(2_000_000_000), price: 1,
                milliseconds: 0)
            let bill = billed(16_000_000_000, "CNY")
            settled.extras = bill.extras
            log.add { settled.encode(into: &$0) }
            try log.document(
                .chargeCorrected, of: MemoryLog.prod,
                """
                {"account": "acme/ml/prod", "charge": "\(hold)", "id": "c-\(hold)", "usd": "1", "was": "2", \
                "placed": "2026-11-22T10:00:01Z", "billed": "8", "currency": "CNY"}
                """)
        }
        let names = "type,billed,currency,replaced_usd,replaced_billed,replaced_currency"
        let text = try export(log) { $0.columns = try! columns(names) }
        let wanted = [
            ["hold.lapsed", "21", "CNY", "", "", ""],
            ["hold.settled", "16", "CNY", "3", "21", "CNY"],
            ["charge.corrected", "8", "CNY", "2", "16", "CNY"],
            ["hold.settled", "16", "CNY", "", "", ""],
            ["charge.corrected", "8", "CNY", "2", "16", "CNY"],
        ]
        #expect(rows(csv: text).filter { $0[1] != "" }.dropFirst() == wanted[...])
        for first in 2...log.lastSeq {
            let rest = try export(log) { job in
                (job.range, job.columns) = (first...log.lastSeq, try! columns(names))
            }
            #expect(text.hasSuffix(rest.drop { $0 != "\r\n" }.dropFirst()), "from \(first)")
        }
    }

    // MARK: Persons

    @Test func `shows of persons what is kept, of their own org`() throws {
        let log = MemoryLog()
        let ada = log.keep("ada", .user, of: "acme")
        let zoe = log.keep("zoe", .user, of: "zeta")
        let nobody = log.keep("10.0.0.1", .address, of: nil)
        for user in [ada, zoe] { log.place { $0.user = Bytes(user) } }
        log.place { text in
            (text.user, text.address, text.userAgent) = (Bytes(nobody), Bytes(nobody), Bytes(ada))
        }
        log.settle(HoldName(epoch: 1, seq: 1))
        func table(_ shows: Bool) throws -> [[String]] {
            rows(
                csv: try export(log) { job in
                    job.columns = try! columns("user,ip,user_agent")
                    job.showsPersons = shows
                }
            ).dropFirst().map { $0 }
        }
        // Another org's commitment, and one in another field's place, are just texts.
        #expect(
            try table(true) == [
                ["ada", "", ""], ["\(zoe)", "", ""], ["\(nobody)", "10.0.0.1", "\(ada)"],
                ["ada", "", ""],
            ])
        #expect(log.personReads == 1, "asked once, however many rows")
        #expect(
            try table(false) == [
                ["\(ada)", "", ""], ["\(zoe)", "", ""], ["\(nobody)", "\(nobody)", "\(ada)"],
                ["\(ada)", "", ""],
            ])
        #expect(log.personReads == 1)
    }
}

@Suite struct `What an export says of itself` {
    private func manifest(_ log: MemoryLog) throws -> ExportManifest {
        var job = ExportJob(range: 3...17)
        job.filter.accounts = ["acme/ml", "zeta"]
        job.filter.types = [.holdSettled]
        job.columns = try columns("seq,cost")
        var mark = ExportMark(next: 18)
        (mark.bytes, mark.rows, mark.firstSeq, mark.lastSeq) = (420, 2, 9, 12)
        let sha = "\"\"".withBytes { TreeHash.sha256($0) }
        return ExportManifest(
            file: "a b.csv", sha256: sha, job: job, mark: mark,
            head: TreeHead(origin: "tollgate/x", size: 20, root: .ofNothing))
    }

    @Test func `is read back as it was written`() throws {
        let log = try MemoryLog.story()
        let manifest = try manifest(log)
        let text = manifest.unsigned("tollgate/x", why: "a copy")
        #expect(
            text == """
                tollgate/export-manifest/v1
                log tollgate/x
                unsigned a copy
                file a b.csv
                bytes 420
                sha256 \(manifest.sha256.hex)
                rows 2
                first-seq 9
                last-seq 12
                format csv
                fields seq,cost
                accounts acme/ml zeta
                types hold.settled
                persons as kept
                range 3 17
                checkpoint 20 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=

                """)
        let read = try WrittenManifest(parsing: text)
        #expect(!read.isSigned && read.origin == "tollgate/x")
        #expect(read.bytes == 420 && read.rows == 2 && read.sha256 == manifest.sha256.hex)
        #expect(read.head == manifest.head)
        for cut in ["", "x", "tollgate/export-manifest/v1\nlog a\n", "tollgate/x\n20\nAAAA\n"] {
            #expect(throws: AuditFailure.self) { try WrittenManifest(parsing: cut) }
        }
    }
    @Test func `of an unfinished one says which job it is`() throws {
        let log = try MemoryLog.story()
        var job = ExportJob(range: 3...17)
        job.format = .ocsf
        job.filter.accounts = ["acme"]
        var mark = ExportMark(next: 9)
        (mark.bytes, mark.rows, mark.firstSeq, mark.lastSeq) = (4_711, 5, 3, 8)
        job.end = "event 20"
        let sha = "x".withBytes { TreeHash.sha256($0) }
        let text = ExportNote(ledger: log.ledgerID, job: job, mark: mark, sha256: sha).text
        let note = try ExportNote(parsing: text, "x.part.note")
        #expect(note.mark == mark && note.ledger == log.ledgerID && note.range == 3...17)
        #expect(note.end == "event 20" && note.sha256 == sha.hex)
        #expect(note.difference(from: job) == nil)
        job.format = .csv
        let difference = try #require(note.difference(from: job))
        #expect(difference == ("format ocsf", "format csv"))
        // Half a note is none, nor is one that says something else.
        var damaged = (0..<text.count).map { String(text.prefix($0)) }
        damaged.append(text.replacingOccurrences(of: "next 9", with: "next 99"))
        damaged.append(text.replacingOccurrences(of: "asked-to event 20", with: "asked-to event 2"))
        for text in damaged {
            #expect(throws: AuditFailure.self) { try ExportNote(parsing: text, "x.part.note") }
        }
    }
}
