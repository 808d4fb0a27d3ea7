import Events
import Journal
import Reports

extension Readers {
    /// One page of the roll-ups, as JSON.
    func writeRollups(_ query: RollupQuery, into json: inout ByteBuffer) throws(Failure) {
        let result: Swift.Result<RollupAnswer, Failure>
        do throws(JournalError) {
            // A reader of its own a question: what it folds is less than a segment.
            result = try journal.readProjection(.rollups) { (rows, last) throws(LMDBError) in
                var reader = RollupReader()
                return try reader.answer(query, rows, last: last)
            }
        } catch {
            throw Failure(.error, error.message, of: journal)
        }
        try result.get().write(query.by, into: &json)
    }
}
