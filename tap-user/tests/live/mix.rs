//! Which exchanges clients ask for: a table of kinds with their shares, drawn from by a fixed
//! sequence of random numbers, and a list of the rare and heavy ones.

use super::random::Random;
use super::request::{Payload, Request};
use super::site::{LARGE_FILES, LARGEST_FILE, LAST_MODIFIED, Ports, SMALL_FILES};
use super::traffic::{GiveUp, Plan, Step};
use std::net::SocketAddr;

/// Makes a step of one kind.
type Make = fn(&mut Mix) -> Step;

/// Everyday exchanges: each with its share.
const EVERYDAY: &[(usize, Make)] = &[
    (30, |mix| Step::Ask(mix.get_small())),
    (10, |mix| Step::Ask(mix.get_small().header("Accept-Encoding", "gzip"))),
    (6, |mix| Step::Ask(mix.get("/direct/"))),
    (2, |mix| Step::Ask(mix.get("/direct/nothing"))),
    (2, |mix| Step::Ask(mix.get("/direct/elsewhere"))),
    (4, |mix| Step::Ask(mix.get("/files/missing?q=%20%22&r=\u{fc}#f"))),
    (3, |mix| Step::Ask(mix.get("http://gateway.test/files/short.txt?absolute=form"))),
    (4, |mix| Step::Ask(mix.small_file("HEAD"))),
    (4, |mix| Step::Ask(mix.get_small().header("If-Modified-Since", LAST_MODIFIED))),
    (3, |mix| Step::Ask(mix.get("/files/page.bin").header("Range", "bytes=100-299"))),
    (3, |mix| Step::Ask(mix.get("/files/page.bin").header("Range", "bytes=0-0,10-19"))),
    (3, |mix| Step::Ask(mix.get("/streamed/files/long.txt").header("Accept-Encoding", "gzip"))),
    (2, |mix| Step::Ask(mix.request("OPTIONS", "/files/one.bin"))),
    (2, |mix| Step::Ask(mix.request("DELETE", "/store/missing"))),
    (2, |mix| Step::Ask(mix.with_many_headers())),
    (10, |mix| Step::Ask(mix.post_json("/accept"))),
    (2, |mix| Step::Ask(mix.post_json("/direct/"))),
    (3, |mix| Step::Ask(mix.put_sized("/store/", 70_000))),
    (3, |mix| Step::Ask(mix.put_chunked("/store/", 20_000))),
    (3, |mix| Step::Ask(mix.put_chunked("/streamed/store/", 20_000))),
    (2, |mix| Step::AwaitContinue(mix.put_sized("/store/", 30_000).header("Expect", CONTINUE))),
    (2, |mix| Step::AwaitContinue(mix.put_chunked("/store/", 9000).header("Expect", CONTINUE))),
    (1, |mix| Step::AskSlowly(mix.post_json("/accept"))),
    (1, |mix| Step::AskSlowly(mix.put_chunked("/streamed/store/", 300))),
    (6, Mix::pipeline),
];

/// Exchanges that end their connection.
const LAST: &[Make] = &[
    |mix| Step::Ask(mix.get_small().header("Connection", "close")),
    |mix| Step::Ask(mix.version_1_0("/files/long.txt").header("Accept-Encoding", "gzip")),
    |mix| Step::Ask(mix.version_1_0("/direct/")),
    |mix| Step::GiveUp(mix.put_sized("/store/", 50_000), GiveUp::InRequestBody),
    |mix| Step::GiveUp(mix.get("/silent"), GiveUp::BeforeResponse),
    |mix| Step::HalfAHead(mix.with_many_headers()),
];

/// Few, because their bodies are large.
const HEAVY: &[(usize, Make)] = &[
    (3, |mix| Step::Ask(mix.get_file(LARGEST_FILE.0))),
    (1, |mix| Step::Ask(mix.put("/store/", 5_000_000))),
    (1, |mix| Step::Ask(mix.put("/streamed/store/", 5_000_000))),
    (2, |mix| Step::GiveUp(mix.get_file(LARGEST_FILE.0), GiveUp::InResponse)),
    (40, |mix| Step::Ask(mix.get_large())),
    (10, |mix| Step::Ask(mix.get_large().header("Accept-Encoding", "gzip"))),
    (5, |mix| Step::Ask(mix.put("/store/", 131_073))),
    (5, |mix| Step::Ask(mix.put("/streamed/store/", 400_000))),
    (3, |mix| Step::Ask(mix.put_chunked("/store/", 600_000))),
];

const CONTINUE: &str = "100-continue";

/// Draws plans.
pub(crate) struct Mix {
    ports: Ports,
    random: Random,
    prefix: &'static str,
    made: usize,
}

impl Mix {
    /// Ids of requests begin with `prefix`, so that several mixes can share a gateway.
    pub(crate) fn new(ports: Ports, prefix: &'static str) -> Self {
        Self { ports, random: Random::new(prefix.len() as u64), prefix, made: 0 }
    }

    /// Whom the plans are for.
    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// Plans with at least `exchanges` exchanges in all, the heavy ones among them.
    pub(crate) fn plans(&mut self, exchanges: usize) -> Vec<Plan> {
        let target = self.made + exchanges;
        let mut plans = self.heavy();
        while self.made < target {
            let plan = self.plan();
            let place = self.random.below(plans.len() + 1);
            plans.insert(place, plan);
        }
        plans
    }

    /// Everyday plans only.
    pub(crate) fn light_plans(&mut self, exchanges: usize) -> Vec<Plan> {
        let target = self.made + exchanges;
        std::iter::from_fn(|| (self.made < target).then(|| self.plan())).collect()
    }

    /// A plan of `steps` steps for a connection that is opened before the tap is attached.
    pub(crate) fn plan_of(&mut self, steps: usize) -> Plan {
        let to = self.address();
        Plan { to, steps: (0..steps).map(|_| self.everyday()).collect() }
    }

    pub(crate) fn get(&mut self, target: &str) -> Request {
        self.request("GET", target)
    }

    pub(crate) fn get_file(&mut self, name: &str) -> Request {
        self.request("GET", &format!("/files/{name}"))
    }

    fn heavy(&mut self) -> Vec<Plan> {
        let mut plans = Vec::new();
        for &(count, make) in HEAVY {
            for _ in 0..count {
                plans.push(Plan { to: self.address(), steps: vec![make(self)] });
            }
        }
        plans
    }

    /// One connection: often with a single exchange, sometimes with many.
    fn plan(&mut self) -> Plan {
        let count = *self.random.pick(&[1, 1, 2, 4, 8, 12]);
        let mut plan = self.plan_of(count);
        if self.random.below(6) == 0 {
            let make = *self.random.pick(LAST);
            plan.steps.push(make(self));
        }
        plan
    }

    fn address(&mut self) -> SocketAddr {
        let v4 = self.ports.v4();
        *self.random.pick(&[v4, v4, self.ports.v6(), self.ports.mapped()])
    }

    fn everyday(&mut self) -> Step {
        let shares: usize = EVERYDAY.iter().map(|(share, _)| share).sum();
        let mut drawn = self.random.below(shares);
        for &(share, make) in EVERYDAY {
            if drawn < share {
                return make(self);
            }
            drawn -= share;
        }
        unreachable!("drawn below the sum of all shares")
    }

    fn request(&mut self, method: &'static str, target: &str) -> Request {
        self.made += 1;
        Request::new(format!("{}-{}", self.prefix, self.made), method, target)
    }

    fn small_file(&mut self, method: &'static str) -> Request {
        let (name, _) = *self.random.pick(SMALL_FILES);
        self.request(method, &format!("/files/{name}"))
    }

    fn get_small(&mut self) -> Request {
        self.small_file("GET")
    }

    fn get_large(&mut self) -> Request {
        let (name, _) = *self.random.pick(LARGE_FILES);
        self.get_file(name)
    }

    fn version_1_0(&mut self, target: &str) -> Request {
        let mut request = self.get(target);
        request.version = "HTTP/1.0";
        request
    }

    fn with_many_headers(&mut self) -> Request {
        let mut request = self.get("/files/short.txt?many=headers");
        for _ in 0..self.random.below(60) {
            let value = self.random.number();
            request = request.header("X-Filler", format!("{value:016x}").repeat(4));
        }
        request
    }

    fn post_json(&mut self, target: &str) -> Request {
        let value = self.random.number();
        let body = format!("{{\"value\":{value},\"text\":\"gr\u{fc}\u{df}e \\u0000\"}}");
        self.request("POST", target)
            .header("Content-Type", "application/json")
            .payload(Payload::Sized(body.into_bytes()))
    }

    /// `PUT` of `length` bytes to a place of its own below `folder`.
    fn put(&mut self, folder: &str, length: usize) -> Request {
        let content = self.random.binary(length);
        let mut request = self.request("PUT", folder).payload(Payload::Sized(content));
        request.target += &request.id;
        request
    }

    fn put_sized(&mut self, folder: &str, limit: usize) -> Request {
        let length = self.random.below(limit);
        self.put(folder, length)
    }

    fn put_chunked(&mut self, folder: &str, limit: usize) -> Request {
        let mut request = self.put_sized(folder, limit);
        let content = request.content().to_vec();
        let chunk = 1 + self.random.below(content.len().max(1));
        let [extensions, trailers] = [(); 2].map(|()| self.random.below(2) == 0);
        // A chunk may be a few bytes long only where there are few of them.
        let chunk = chunk.max(content.len() / 200);
        request.payload = Payload::Chunked { content, chunk, extensions, trailers };
        request
    }

    /// Requests of which none has to wait for the client, and one in the middle has a body.
    fn pipeline(&mut self) -> Step {
        let count = 1 + self.random.below(3);
        let mut requests: Vec<_> = (0..count).map(|_| self.get_small()).collect();
        requests.push(self.post_json("/accept"));
        requests.push(self.get("/direct/"));
        requests.push(self.small_file("HEAD"));
        Step::Pipeline(requests)
    }
}
