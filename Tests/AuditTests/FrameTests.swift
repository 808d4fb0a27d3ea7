import Events
import Journal
import Testing

@Suite struct `Frames that came from elsewhere` {
    @Test func `are refused when they are no frames`() {
        let error: JournalError?
        do throws(JournalError) {
            _ = try EventPage(
                verifying: Bytes("this is no frame of an event, whatever else it is"), from: 1)
            error = nil
        } catch let thrown { error = thrown }
        #expect(error?.kind == .damaged && error?.message.contains("event 1 ") == true)
    }
    @Test func `may be none`() throws {
        #expect(try EventPage(verifying: .empty, from: 7).count == 0)
    }
}
