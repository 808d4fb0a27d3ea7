import Audit
import Events
import Journal
import Ledger
import Logging
import Wire

/// What is asked of the tree, with copies of everything that was borrowed.
enum TreeQuestion: Sendable {
    case checkpoint
    case cosigned
    case inclusion(seq: UInt64, size: UInt64?)
    case consistency(old: UInt64, new: UInt64?)
    case cosign(note: String, witness: String?)
    case manifest(lines: String, operatorName: String, at: Instant)
}

extension GateLoop {
    mutating func tree(
        _ session: UnsafeMutablePointer<Session>, _ arguments: Arguments
    ) throws(Failure) {
        switch try TreeQuery(arguments) {
        case .checkpoint: ask(session, .tree(.checkpoint))
        case .cosigned: ask(session, .tree(.cosigned))
        case .inclusion(let seq, let size):
            ask(session, .tree(.inclusion(seq: seq, size: size)))
        case .consistency(let old, let new):
            ask(session, .tree(.consistency(old: old, new: new)))
        case .cosign(let note, let witness):
            // Whom the log believes is not for those to say who only read it.
            if witness != nil, session.pointee.role != .admin {
                throw Failure(
                    .noPermission,
                    "role \((session.pointee.role ?? .auditor).name) may not make a witness known; "
                        + "that needs admin")
            }
            ask(session, .tree(.cosign(note: note.string, witness: witness?.string)))
        case .manifest(let lines):
            // As events name their actor.
            let name =
                session.pointee.actor.uid.map { "uid:\($0)" } ?? session.pointee.userName
            ask(
                session,
                .tree(.manifest(lines: lines.string, operatorName: name, at: machine.now)))
        }
    }
}

extension Readers {
    /// The text that answers it.
    func tree(_ question: TreeQuestion) throws(Failure) -> String {
        do throws(AuditFailure) {
            switch question {
            case .checkpoint: return try notary.checkpoint(of: journal).note
            case .cosigned: return try notary.cosigned().note
            case .inclusion(let seq, let size):
                return try notary.inclusion(of: seq, size: size, in: journal).text
            case .consistency(let old, let new):
                return try notary.consistency(from: old, to: new, in: journal).text
            case .cosign(let note, let witness):
                let key = try witness.map { text throws(AuditFailure) in
                    try VerifierKey(parsing: text)
                }
                return try notary.cosign(note, witness: key).note
            case .manifest(let lines, let name, let time):
                return try notary.sign(manifest: lines, for: name, at: time).note
            }
        } catch {
            // An auditor asks; whoever runs the daemon must hear of it, too.
            if let problem = notary.status.problem { logger.critical("\(problem)") }
            throw Failure(.error, error.message, of: journal)
        }
    }
}
