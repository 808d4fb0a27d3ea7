// A library to preload under a daemon (LD_PRELOAD) that writes down, in one order, all that it does to
// the files of one directory and tells its clients, and that fails such a call or kills the process in
// front of it when told to. Nothing is linked against it: what follows is the interface.
//
//     TOLLGATE_FAULTS_ROOT    the directory; without it, or for other files, nothing happens at all
//     TOLLGATE_FAULTS_TRACE   a file to which the trace is appended; without it there is none
//     TOLLGATE_FAULTS_REPORT  a file that counts the calls, see `tg_report`; it survives kill -9
//     TOLLGATE_FAULTS_AT      the number of the call to fail, among those that its fault is for; from 1
//     TOLLGATE_FAULTS_KIND    eio     any call that changes files: does nothing, answers EIO
//                             enospc  a call that takes room: does nothing, answers ENOSPC
//                             short   a write: writes half
//                             late    a flush, or a write that is one (O_DSYNC): done, yet answers EIO,
//                                     as after a failed write-back: memory has it, the disk need not
//                             kill    any call that changes files: SIGKILL in front of it
//     TOLLGATE_FAULTS_TIMES   how many such calls in a row, 1 if not given; 0: all from that one on
#ifndef TOLLGATE_CFAULTS_H
#define TOLLGATE_CFAULTS_H

#include <stdint.h>

/// One record of the trace; `bytes` of payload follow it, filled up to a multiple of eight.
struct tg_record {
    uint32_t kind;
    /// The file as of one `open`; for sent and received, the connection's descriptor.
    uint32_t handle;
    /// 0, or the errno that the call answered.
    int32_t failure;
    uint32_t flags;
    uint64_t offset;
    uint64_t size;
    uint32_t bytes;
    uint32_t thread;
};

enum tg_kind {
    TG_PROCESS = 1,   // a process begins; size: its pid
    TG_OPEN = 2,      // payload: path
    TG_WRITE = 3,     // offset, payload: what was written
    TG_TRUNCATE = 4,  // size
    TG_ALLOCATE = 5,  // offset, size
    TG_ZERO = 6,      // offset, size
    TG_SYNC = 7,      // of a file or a directory
    TG_RENAME = 8,    // payload: from NUL to
    TG_UNLINK = 9,    // payload: path
    TG_MKDIR = 10,    // payload: path
    TG_STORE = 11,    // into a mapping: offset, payload: whole sectors as they stand now
    TG_ACCEPT = 12,   // a connection begins
    TG_SENT = 13,     // payload: what the client was told
    TG_RECEIVED = 14  // payload
};

enum tg_flag {
    TG_CREATES = 1,   // open: O_CREAT
    TG_EMPTIES = 2,   // open: O_TRUNC
    TG_DURABLE = 4    // a write through O_DSYNC or O_SYNC: on the disk when it returns
};

/// How many calls there were that a fault of each kind is for, and what was hit.
struct tg_report {
    uint64_t calls;    // eio, kill
    uint64_t room;     // enospc
    uint64_t writes;   // short
    uint64_t flushes;  // late
    uint64_t hits;
    /// "pwrite journal/data.mdb" of the first call that was hit.
    char first_hit[216];
};

#endif
