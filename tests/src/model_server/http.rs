//! As much of HTTP/1.1 as an agent on loopback needs: keep-alive, bodies by length or chunks, chunked
//! answers that can stop anywhere.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

/// The head and body of one request.
#[derive(Debug)]
pub struct HttpRequest {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// One connection from an agent.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Connection {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream.try_clone()?), writer: stream })
    }

    /// The next request, or `None` once the other side has closed.
    pub fn read(&mut self) -> io::Result<Option<HttpRequest>> {
        let Some(start) = self.line()? else { return Ok(None) };
        let mut words = start.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut request =
            HttpRequest { method: method.into(), path: path.into(), headers: Vec::new(), body: Vec::new() };
        while let Some(line) = self.line()?.filter(|line| !line.is_empty()) {
            if let Some((name, value)) = line.split_once(':') {
                request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        if request.header("expect").is_some() {
            self.writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.body = self.body(&request)?;
        Ok(Some(request))
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(Some(line))
    }

    fn body(&mut self, request: &HttpRequest) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if request.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            loop {
                let size = self.line()?.unwrap_or_default();
                let size = size.split(';').next().unwrap_or_default().trim();
                let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
                (&mut self.reader).take(size).read_to_end(&mut body)?;
                // After a chunk, or after the empty trailer of the last one.
                self.line()?;
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        let length = request.header("content-length").map_or(Ok(0), str::parse).map_err(io::Error::other)?;
        (&mut self.reader).take(length).read_to_end(&mut body)?;
        Ok(body)
    }

    /// A whole answer at once.
    pub fn respond(
        &mut self,
        status: u16,
        content_type: &str,
        body: &[u8],
        head_only: bool,
    ) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let body = if head_only { &[] } else { body };
        self.writer.write_all(&[head.as_bytes(), body].concat())
    }

    /// Begins a stream of server-sent events.
    pub fn begin_events(&mut self) -> io::Result<()> {
        self.writer.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n\
              transfer-encoding: chunked\r\n\r\n",
        )
    }

    /// One server-sent event, in a chunk and a write of its own.
    pub fn event(&mut self, name: &str, data: &str) -> io::Result<()> {
        let event = format!("event: {name}\ndata: {data}\n\n");
        self.writer.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())
    }

    /// Ends the stream as it should end.
    pub fn end_events(&mut self) -> io::Result<()> {
        self.writer.write_all(b"0\r\n\r\n")
    }

    /// Cuts the connection where it is.
    pub fn cut(&mut self) {
        let _ = self.writer.shutdown(Shutdown::Both);
    }
}
