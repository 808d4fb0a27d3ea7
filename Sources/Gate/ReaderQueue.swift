/// What waits for a reader: questions, ahead of the batches of those who follow the log.
///
/// Who follows asks again all the time, and a hundred who filter an old log keep every reader busy for as long
/// as that takes. Whoever asks something else waits behind what is being read now, and behind none of them.
struct ReaderQueue: Sendable {
    /// So many questions, and then a batch if one waits: who asks without end stops no follower.
    static let questionsInRow = 16

    private var questions: [Readers.Job] = []
    private var batches: [Readers.Job] = []
    private var row = 0

    mutating func append(_ job: Readers.Job) {
        if case .follow = job.question { batches.append(job) } else { questions.append(job) }
    }
    /// What `removeFirst` would take.
    var first: Readers.Job? { isBatchNext ? batches.first : questions.first }
    mutating func removeFirst() -> Readers.Job? {
        guard let job = first else { return nil }
        if isBatchNext {
            batches.removeFirst()
            row = 0
        } else {
            questions.removeFirst()
            // Only those count that a batch has waited for.
            row = batches.isEmpty ? 0 : row + 1
        }
        return job
    }
    mutating func removeAll() { self = ReaderQueue() }

    private var isBatchNext: Bool {
        !batches.isEmpty && (questions.isEmpty || row >= Self.questionsInRow)
    }
}
