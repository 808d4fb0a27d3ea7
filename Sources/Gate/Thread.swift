import CLinux
import Glibc

/// An OS thread that runs one closure. Not a task: LMDB and blocking waits want a thread of their own.
enum Thread {
    private final class Body {
        let name: String
        let run: () -> Void
        init(_ name: String, _ run: @escaping () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// - Parameters:
    ///   - name: at most 15 bytes, as `top -H` shows it.
    ///   - nice: how far it stands back behind the others when there are more threads than cores.
    static func start(
        name: String, nice: Int32 = 0, _ run: @escaping @Sendable () -> Void
    ) throws(DaemonFailure) -> pthread_t {
        let body = Unmanaged.passRetained(
            Body(name) {
                // On Linux a thread has a priority of its own, under its own number.
                if nice > 0 {
                    setpriority(
                        __priority_which_t(PRIO_PROCESS.rawValue), id_t(tg_thread_id()), nice)
                }
                run()
            })
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { raw in
                let body = Unmanaged<Body>.fromOpaque(raw!).takeRetainedValue()
                tg_name_thread(body.name)
                body.run()
                return nil
            }, body.toOpaque())
        guard code == 0 else {
            body.release()
            throw .io("cannot start a thread: \(String(cString: strerror(code)))")
        }
        return thread
    }
}
