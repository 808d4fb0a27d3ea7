import Events
import Testing

@testable import tollgate

/// Which keys `key list` shows, at an instant.
@Suite struct `A selection of keys` {
    private static let now = Instant(parsing: Bytes("2026-11-22T12:00:00Z"))!
    private static let keys: [JSON] = [
        key("a", #""created":"2026-01-01T00:00:00Z","last_used":null,"spent_month":"0.5""#),
        key(
            "b",
            #""created":"2026-01-01T00:00:00Z","last_used":"2026-11-22T11:00:00Z","spent_month":"12""#
        ),
        key(
            "c",
            #""created":"2026-11-20T00:00:00Z","last_used":null,"spent_month":"9","#
                + #""expires":"2026-12-01T00:00:00Z","is_rotation_due":true"#),
        key(
            "d",
            #""created":"2026-01-01T00:00:00Z","last_used":"2026-08-24T12:00:00Z","#
                + #""spent_month":"9","expires":"2026-11-22T12:00:00Z","is_rotation_due":false"#),
    ]
    private static func key(_ name: String, _ fields: String) -> JSON {
        try! JSON(reply: #"{"account":"acme/ml/\#(name)","state":"active",\#(fields)}"#)
    }
    private func names(_ change: (inout KeySelection) -> Void) -> String {
        var selection = KeySelection()
        change(&selection)
        return selection.of(Self.keys, at: Self.now)
            .map { String($0.cell("account").suffix(1)) }.joined()
    }

    @Test func `unused is what nobody used for so long, and what is so old`() {
        let day: Int64 = 86_400
        #expect(names { $0.unused = 90 * day } == "ad", "used ninety days ago to the second")
        #expect(names { $0.unused = 90 * day + 1 } == "a")
        #expect(names { $0.unused = 2 * day } == "acd")
        #expect(names { $0.unused = 3_600 } == "abcd")
    }
    @Test func `expiring is what still can be saved`() {
        #expect(names { $0.expiring = 9 * 86_400 } == "c")
        #expect(names { $0.expiring = 8 * 86_400 } == "")
        #expect(names { $0.isDue = true } == "c")
    }
    @Test func `is in the order that was asked for, and equals by their names`() {
        #expect(names { $0.order = .spent } == "bcda")
        #expect(names { $0.order = .used } == "acdb")
        #expect(names { $0.order = .expires } == "dcab")
    }
}
