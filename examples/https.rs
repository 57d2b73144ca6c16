//! https: serves the files below a folder by HTTP over TLS, with the crate rustls between stream and server.
//!
//! ```sh
//! openssl req -x509 -newkey ed25519 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost
//! cargo run --release --example https -- cert.pem key.pem . 8443
//! ```

#[cfg(target_os = "linux")]
mod util;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("https: rustls is built for Linux alone here");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    tls::main()
}

#[cfg(target_os = "linux")]
mod tls {
    use super::util::{self, Tool};
    use aqueduct::http::{Files, Server, Transport};
    use aqueduct::net::{TcpListener, TcpStream};
    use aqueduct::source::Deadlines;
    use aqueduct::task;
    use rustls::pki_types::pem::{self, PemObject};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection, Stream};
    use std::ffi::OsString;
    use std::io::{self, IoSlice, Read, Write};
    use std::net::Ipv4Addr;
    use std::process::ExitCode;
    use std::sync::{Arc, Mutex};

    /// A socket behind TLS. One task has it, so nobody ever waits for the lock.
    struct Tls {
        session: Mutex<ServerConnection>,
        socket: TcpStream,
    }

    impl Tls {
        fn with<T>(
            &self,
            call: impl FnOnce(&mut Stream<'_, ServerConnection, &TcpStream>) -> io::Result<T>,
        ) -> io::Result<T> {
            let mut session = self.session.try_lock().map_err(|_| io::ErrorKind::ResourceBusy)?;
            call(&mut Stream::new(&mut session, &mut &self.socket))
        }
    }

    impl Transport for Tls {
        fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
            self.with(|stream| stream.read(buf))
        }

        fn write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.with(|stream| stream.write(bytes))
        }

        fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            self.with(|stream| stream.write_vectored(bufs))
        }

        fn flush(&self) -> io::Result<()> {
            self.with(|stream| stream.flush())
        }

        /// The peer is told by TLS, so that it knows that nothing was cut off, and by TCP.
        fn shutdown_write(&self) -> io::Result<()> {
            self.with(|stream| {
                stream.conn.send_close_notify();
                stream.flush()
            })?;
            self.socket.shutdown_write()
        }

        fn deadlines(&self) -> Option<&dyn Deadlines> {
            Some(&self.socket)
        }
    }

    pub(super) fn main() -> ExitCode {
        let tool = Tool::start("https");
        let operand = |name: &'static str, help: &'static str| {
            let parser = clap::value_parser!(OsString);
            clap::Arg::new(name).required(true).value_parser(parser).help(help)
        };
        let command = util::command("https", "Serves the files below a folder over TLS.")
            .arg(operand("CERT", "the certificate and those that vouch for it, as PEM"))
            .arg(operand("KEY", "its private key, as PEM"))
            .arg(operand("DIR", "the folder"))
            .arg(operand("PORT", "the port to listen at, on the loopback; 0 is any that is free"));
        let matches = tool.arguments(command, std::env::args_os());
        let port = util::port::number(&tool, &matches, "PORT", u64::from(u16::MAX)).unwrap_or(0);
        let text =
            |name| matches.get_one::<OsString>(name).map(OsString::as_os_str).unwrap_or_default();
        let served = config(text("CERT"), text("KEY")).and_then(|config| {
            let server = Server::new(Files::new(text("DIR"))?);
            task::run(|| serve(port as u16, Arc::new(config), Arc::new(server)))?
        });
        if let Err(error) = served {
            tool.warn_error("cannot serve", &error);
        }
        tool.status()
    }

    fn config(cert: &std::ffi::OsStr, key: &std::ffi::OsStr) -> io::Result<ServerConfig> {
        let read = || {
            let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<_, _>>()?;
            Ok((chain, PrivateKeyDer::from_pem_file(key)?))
        };
        let (chain, key) =
            read().map_err(|error: pem::Error| io::Error::other(error.to_string()))?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        config.map_err(io::Error::other)
    }

    fn serve(port: u16, config: Arc<ServerConfig>, server: Arc<Server<Files>>) -> io::Result<()> {
        let listener = TcpListener::builder().nodelay(true).bind((Ipv4Addr::LOCALHOST, port))?;
        if port == 0 {
            println!("{}", listener.local_addr()?.port());
        }
        for socket in listener.incoming() {
            let (socket, config, server) = (socket?, Arc::clone(&config), Arc::clone(&server));
            drop(task::spawn(move || talk(socket, config, &server)));
        }
        Ok(())
    }

    /// Until the peer ends, or fails: that is its own business.
    fn talk(
        socket: TcpStream,
        config: Arc<ServerConfig>,
        server: &Server<Files>,
    ) -> io::Result<()> {
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        let tls = Tls { session: Mutex::new(session), socket };
        server.serve_transport(&tls)?;
        tls.shutdown_write()
    }
}
