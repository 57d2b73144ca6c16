//! What a request costs, without a kernel: heads parsed, a handler run, the answers written.
//!
//! Sixteen requests come at once, as a client sends them that does not wait.

use aqueduct::http::{Mux, Server, handler};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::io::{self, Read, Write};

const REQUESTS: usize = 16;

const SMALL: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

const BROWSER: &str = "GET /articles/2026/november?page=2 HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Referer: https://www.example.org/articles/2026\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

/// A client that sends the same burst a number of times.
struct Bursts<'b> {
    burst: &'b [u8],
    left: usize,
}

impl Read for Bursts<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        self.left -= 1;
        buf[..self.burst.len()].copy_from_slice(self.burst);
        Ok(self.burst.len())
    }
}

impl Write for Bursts<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn requests(c: &mut Criterion) {
    const BURSTS: usize = 64;
    let hello = handler(|_, response| {
        response.set("content-type", "text/plain")?;
        response.write_all(b"Hello, World!")
    });
    let mut mux = Mux::new();
    mux.handle("GET /{$}", hello).expect("it is the first");
    mux.handle("/articles/{year}/{month}", hello).expect("it is another");
    let server = Server::new(mux);
    let mut group = c.benchmark_group("http");
    group.throughput(Throughput::Elements((REQUESTS * BURSTS) as u64));
    for (name, request, times) in [("small", SMALL, REQUESTS), ("browser", BROWSER, 8)] {
        let burst = request.repeat(times);
        let bursts = REQUESTS * BURSTS / times;
        group.bench_function(name, |b| {
            b.iter(|| {
                let stream = Bursts { burst: burst.as_bytes(), left: bursts };
                server.serve_connection(stream).expect("nothing can fail");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, requests);
criterion_main!(benches);
