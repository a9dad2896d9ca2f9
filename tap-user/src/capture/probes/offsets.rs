//! What the BPF programs must know about the running kernel and architecture.

use super::btf::{Btf, BtfError};
#[cfg(target_arch = "aarch64")]
use tap_ebpf::NO_OFFSET;
use tap_ebpf::{CallNumbers, Offsets};

/// Looks all members up; the first that is missing is named in the error.
pub(super) fn offsets(btf: &Btf) -> Result<Offsets, BtfError> {
    let registers = registers(btf)?;
    let (file_references, file_one_reference) = file_references(btf)?;
    Ok(Offsets {
        sock_family: btf.offset("sock", "__sk_common.skc_family")?,
        sock_local_port: btf.offset("sock", "__sk_common.skc_num")?,
        sock_source_port: btf.offset("inet_sock", "inet_sport")?,
        sock_remote_port: btf.offset("sock", "__sk_common.skc_dport")?,
        sock_local_ipv4: btf.offset("sock", "__sk_common.skc_rcv_saddr")?,
        sock_remote_ipv4: btf.offset("sock", "__sk_common.skc_daddr")?,
        sock_local_ipv6: btf.offset("sock", "__sk_common.skc_v6_rcv_saddr")?,
        sock_remote_ipv6: btf.offset("sock", "__sk_common.skc_v6_daddr")?,
        sock_net: btf.offset("sock", "__sk_common.skc_net.net")?,
        sock_flags: btf.offset("sock", "__sk_common.skc_flags")?,
        sock_protocol: btf.offset("sock", "sk_protocol")?,
        sock_shutdown: btf.offset("sock", "sk_shutdown")?,
        sock_error: btf.offset("sock", "sk_err")?,
        sock_backlog_limit: btf.offset("sock", "sk_max_ack_backlog")?,
        sock_socket: btf.offset("sock", "sk_socket")?,
        socket_file: btf.offset("socket", "file")?,
        file_references,
        net_inode: btf.offset("net", "ns.inum")?,
        tcp_copied_seq: btf.offset("tcp_sock", "copied_seq")?,
        tcp_write_seq: btf.offset("tcp_sock", "write_seq")?,
        tcp_receive_next: btf.offset("tcp_sock", "rcv_nxt")?,
        task_thread_group_id: btf.offset("task_struct", "tgid")?,
        task_group_leader: btf.offset("task_struct", "group_leader")?,
        task_thread_pid: btf.offset("task_struct", "thread_pid")?,
        task_signal: btf.offset("task_struct", "signal")?,
        task_name: btf.offset("task_struct", "comm")?,
        task_namespaces: btf.offset("task_struct", "nsproxy")?,
        namespaces_net: btf.offset("nsproxy", "net_ns")?,
        signal_live: btf.offset("signal_struct", "live")?,
        pid_level: btf.offset("pid", "level")?,
        pid_numbers: btf.offset("pid", "numbers")?,
        upid_size: btf.size("upid")?,
        upid_number: btf.offset("upid", "nr")?,
        registers_call_number: registers.call_number,
        registers_argument_2: registers.argument_2,
        registers_argument_3: registers.argument_3,
        registers_argument_5: registers.argument_5,
        registers_result: registers.result,
        file_one_reference,
    })
}

/// Linux 6.13 replaced the plain count of a file's references by one that starts at 0.
fn file_references(btf: &Btf) -> Result<(u32, u32), BtfError> {
    match btf.offset("file", "f_ref") {
        Ok(offset) => Ok((offset, 0)),
        Err(_) => btf.offset("file", "f_count").map(|offset| (offset, 1)),
    }
}

/// Where `struct pt_regs` keeps what a system call was given.
struct Registers {
    call_number: u32,
    argument_2: u32,
    argument_3: u32,
    argument_5: u32,
    result: u32,
}

#[cfg(target_arch = "x86_64")]
fn registers(btf: &Btf) -> Result<Registers, BtfError> {
    Ok(Registers {
        call_number: btf.offset("pt_regs", "orig_ax")?,
        argument_2: btf.offset("pt_regs", "si")?,
        argument_3: btf.offset("pt_regs", "dx")?,
        argument_5: btf.offset("pt_regs", "r8")?,
        result: btf.offset("pt_regs", "ax")?,
    })
}

#[cfg(target_arch = "aarch64")]
fn registers(btf: &Btf) -> Result<Registers, BtfError> {
    let first = btf.offset("pt_regs", "regs")?;
    Ok(Registers {
        call_number: btf.offset("pt_regs", "syscallno")?,
        argument_2: first + 8,
        argument_3: first + 16,
        argument_5: first + 32,
        result: NO_OFFSET,
    })
}

/// Numbers of the calls whose arguments the programs understand.
#[must_use]
pub(super) fn call_numbers() -> CallNumbers {
    CallNumbers {
        read: libc::SYS_read,
        readv: libc::SYS_readv,
        recvfrom: libc::SYS_recvfrom,
        recvmsg: libc::SYS_recvmsg,
        recvmmsg: libc::SYS_recvmmsg,
        write: libc::SYS_write,
        writev: libc::SYS_writev,
        sendto: libc::SYS_sendto,
        sendmsg: libc::SYS_sendmsg,
        sendmmsg: libc::SYS_sendmmsg,
        sendfile: libc::SYS_sendfile,
        splice: libc::SYS_splice,
        vmsplice: libc::SYS_vmsplice,
        tee: libc::SYS_tee,
        io_uring_enter: libc::SYS_io_uring_enter,
    }
}
