import Glibc
import Synchronization

/// Ctrl-C (or SIGTERM) as a request to end in order; whoever works looks at the count.
enum Interrupt {
    private static let interrupts = Atomic<Int>(0)
    /// How often somebody asked: the first ends in order, the second at once.
    static var count: Int { interrupts.load(ordering: .relaxed) }

    static func catchSignals() {
        _ = count  // So that the handler never is the first to touch it.
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in Interrupt.interrupts.add(1, ordering: .relaxed) }
        }
    }
}
