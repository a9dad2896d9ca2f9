//! x
fn main() {
    let settings = tap_ebpf::Settings { body_cap: 131072, select_by_port: 1, select_by_name: 0, only_ports: 1, padding: 0, network_namespace: 0, control_group: 0 };
    let r = gatetap::capture::probes::programs::Programs::start(&settings, &[8000], &[], 1 << 24);
    match r { Ok(p) => println!("ok {:?}", p.counters()), Err(e) => println!("{e:#?}") }
}
