import Events
import Journal
import Synchronization

/// Signs what the log says of itself, and never two things that contradict each other.
///
/// Its files stand in the data directory:
///
///     signing.key      the key, mode 0600; made at the first start and in no backup
///     tree.signed      the last checkpoint that was signed, written before anybody sees it
///     tree.cosigned    the newest checkpoint that witnesses have signed too
///     tree.witnesses   the verifier keys of the witnesses it knows, a line each
package final class Notary: Sendable {
    /// Why nothing is signed, or nil; what INFO shows.
    package struct Status: Sendable {
        package var origin: String
        package var verifierKey = ""
        package var signedSize: UInt64 = 0
        package var cosignedSize: UInt64 = 0
        package var problem: String?
    }
    struct State: Sendable {
        var key: SigningKey?
        var signed: SignedNote?
        var cosigned: SignedNote?
        var witnesses: [VerifierKey] = []
    }
    private let state: Mutex<State>
    /// Apart from the state, which is held while the disk is waited for.
    private let shown: Mutex<Status>
    private let files: NotaryFiles

    /// Takes up a directory's key and what was signed with it, and looks whether the log still begins with
    /// that; makes a key where there is none. What is wrong stops no decision: it is the status's problem, and
    /// then nothing is signed.
    package init(directory: String, of journal: Journal, rig: (any DiskRig)? = nil) {
        files = NotaryFiles(directory: directory, rig: rig)
        let origin = Notary.origin(of: journal.ledgerID)
        var state = State()
        var status = Status(origin: origin)
        do throws(AuditFailure) {
            try files.load(into: &state, origin: origin)
            try Notary.check(state, against: journal)
        } catch {
            status.problem = error.message
        }
        status.note(state)
        self.state = Mutex(state)
        shown = Mutex(status)
    }

    package var status: Status { shown.withLock { $0 } }

    /// What a ledger's log calls itself; `epoch` where it goes on from a backup, since what the lost original
    /// signed after that is not known.
    package static func origin(of ledger: LedgerID, from epoch: UInt32? = nil) -> String {
        "tollgate/\(ledger)" + (epoch.map { "/\($0)" } ?? "")
    }
    /// Makes a new key under a new origin, for a directory that goes on from a backup; no daemon serves it.
    package static func beginAnew(
        directory: String, ledger: LedgerID, epoch: UInt32
    ) throws(JournalError) {
        let files = NotaryFiles(directory: directory, rig: nil)
        files.forget()
        try files.write(SigningKey(name: origin(of: ledger, from: epoch)))
    }

    /// Runs `body` on the state, one at a time, and shows what came of it.
    func locked<R>(
        _ body: (inout State, SigningKey) throws(AuditFailure) -> R
    ) throws(AuditFailure) -> R {
        try state.withLock { state throws(AuditFailure) in
            guard let key = state.key else {
                let why = shown.withLock { $0.problem ?? "there is no key" }
                throw AuditFailure(.io, "nothing is signed: \(why)")
            }
            defer { shown.withLock { $0.note(state) } }
            return try body(&state, key)
        }
    }
    var store: NotaryFiles { files }
    func complain(_ problem: String?) { shown.withLock { $0.problem = problem } }
}

extension Notary.Status {
    fileprivate mutating func note(_ state: Notary.State) {
        origin = state.key?.name ?? origin
        verifierKey = state.key?.verifier.description ?? ""
        signedSize = state.signed.flatMap { try? TreeHead(parsing: $0.text) }?.size ?? 0
        cosignedSize = state.cosigned.flatMap { try? TreeHead(parsing: $0.text) }?.size ?? 0
    }
}

extension AuditFailure {
    package init(_ error: JournalError) {
        let kind: Kind =
            switch error.kind {
            case .damaged, .format: .damaged
            case .usage: .usage
            case .busy, .io: .io
            }
        self.init(kind, error.message, seq: error.seq)
    }
}
