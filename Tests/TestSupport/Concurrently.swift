internal import Foundation
internal import Synchronization

/// Runs `body` on as many threads as asked for, whatever the number of processors, and returns what
/// they returned. Tasks would block the few threads that tests share.
package func concurrently<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws -> Value
) throws -> [Value] {
    let results = Results<Value>()
    let ended = DispatchGroup()
    for index in 0..<count {
        ended.enter()
        let thread = Thread {
            let result = Result { try body(index) }
            results.all.withLock { $0[index] = result }
            ended.leave()
        }
        thread.stackSize = 1 << 20
        thread.start()
    }
    ended.wait()
    return try results.all.withLock { all in try (0..<count).map { try all[$0]!.get() } }
}

private final class Results<Value: Sendable>: Sendable {
    let all = Mutex<[Int: Result<Value, any Error>]>([:])
}
