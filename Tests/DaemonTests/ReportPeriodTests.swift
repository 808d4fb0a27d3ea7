import ArgumentParser
import Events
import Reports
import Testing

@testable import tollgate

/// What time a report is of, and what it is compared with, at an instant of which the test knows the date.
@Suite struct `the time of a report` {
    struct Case: CustomTestStringConvertible {
        var words: String
        var now: String
        var isOfUsers = false
        /// As an open end is asked of the daemon, there is no end.
        var from: String
        var to: String?
        var before: String
        var testDescription: String { "\(words) at \(now)\(isOfUsers ? ", of users" : "")" }
    }
    private static let cases = [
        // The month so far, by the caller's clock; the one before.
        Case(
            words: "", now: "2026-11-30T23:30:00Z", from: "2026-11-01T00:00:00Z",
            to: "2026-12-01T00:00:00Z", before: "2026-10-01T00:00:00Z..<2026-11-01T00:00:00Z"),
        Case(
            words: "--zone Europe/Berlin", now: "2026-11-30T23:30:00Z",
            from: "2026-11-30T23:00:00Z", to: "2026-12-31T23:00:00Z",
            before: "2026-10-31T23:00:00Z..<2026-11-30T23:00:00Z"),
        // Of users an org that is ahead of the caller has its own today in it.
        Case(
            words: "", now: "2026-11-30T23:30:00Z", isOfUsers: true, from: "2026-11-01T00:00:00Z",
            before: "2026-10-01T00:00:00Z..<2026-11-01T00:00:00Z"),
        Case(
            words: "--zone Pacific/Kiritimati", now: "2026-11-30T12:00:00Z", isOfUsers: true,
            from: "2026-12-01T00:00:00Z", before: "2026-11-01T00:00:00Z..<2026-12-01T00:00:00Z"),
        // Until now: as many hours before as have begun, each whole.
        Case(
            words: "--from 2026-11-26", now: "2026-11-26T14:40:47.88Z",
            from: "2026-11-26T00:00:00Z", to: "2026-11-26T14:40:48.88Z",
            before: "2026-11-25T09:00:00Z..<2026-11-26T00:00:00Z"),
        Case(
            words: "--from 2026-11-26T15:00:00Z", now: "2026-11-26T15:00:00Z",
            from: "2026-11-26T15:00:00Z", to: "2026-11-26T15:00:01Z",
            before: "2026-11-26T14:00:00Z..<2026-11-26T15:00:00Z"),
        Case(
            words: "--from 2026-11-26T14:00:00Z", now: "2026-11-26T14:59:59Z",
            from: "2026-11-26T14:00:00Z", to: "2026-11-26T15:00:00Z",
            before: "2026-11-26T13:00:00Z..<2026-11-26T14:00:00Z"),
        // Of users as many days as have begun where the caller is, at any hour of it.
        Case(
            words: "--from 2026-11-26", now: "2026-11-26T00:00:00Z", isOfUsers: true,
            from: "2026-11-26T00:00:00Z", before: "2026-11-25T00:00:00Z..<2026-11-26T00:00:00Z"),
        Case(
            words: "--from 2026-11-26", now: "2026-11-26T23:59:59Z", isOfUsers: true,
            from: "2026-11-26T00:00:00Z", before: "2026-11-25T00:00:00Z..<2026-11-26T00:00:00Z"),
        Case(
            words: "--from 2026-11-25 --zone Asia/Tokyo", now: "2026-11-26T15:00:00Z",
            isOfUsers: true, from: "2026-11-25T00:00:00Z",
            before: "2026-11-22T00:00:00Z..<2026-11-25T00:00:00Z"),
        // An org ahead of the caller has begun a day that the caller's clock does not show.
        Case(
            words: "--from 2026-11-27", now: "2026-11-26T14:40:00Z", isOfUsers: true,
            from: "2026-11-27T00:00:00Z", before: "2026-11-26T00:00:00Z..<2026-11-27T00:00:00Z"),
        // Both ends: as long a time.
        Case(
            words: "--from 2026-11-20 --to 2026-11-22T12:00:00Z", now: "2026-11-26T14:40:00Z",
            from: "2026-11-20T00:00:00Z", to: "2026-11-22T12:00:00Z",
            before: "2026-11-17T12:00:00Z..<2026-11-20T00:00:00Z"),
        Case(
            words: "--from 2026-11-20 --to 2026-11-22", now: "2026-11-26T14:40:00Z",
            isOfUsers: true, from: "2026-11-20T00:00:00Z", to: "2026-11-22T00:00:00Z",
            before: "2026-11-18T00:00:00Z..<2026-11-20T00:00:00Z"),
    ]

    @Test(arguments: cases) func `is what its words say`(of asked: Case) throws {
        let words = asked.words.split(separator: " ").map(String.init)
        let options = try ReportOptions.parse(words + ["--compare"])
        let now = try #require(asked.now.withBytes { Instant(parsing: $0) })
        let period = try ReportPeriod(options, now: now, of: asked.isOfUsers ? .user : nil)
        let query = period.query(.billed)
        #expect("\(query.from)" == asked.from)
        #expect(query.to == .distantFuture ? asked.to == nil : "\(query.to)" == asked.to)
        #expect("\(period.before)" == asked.before)
        let before = period.query(of: period.before, .billed)
        #expect("\(before.from..<before.to)" == asked.before)
    }
}
