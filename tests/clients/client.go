// A client of echo_http: go run client.go PORT. Says "ok", or what was wrong.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func fatal(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
	os.Exit(1)
}

// Hides the length of what it reads, so that it is sent in chunks.
type unknown struct{ io.Reader }

func main() {
	url := "http://127.0.0.1:" + os.Args[1]
	transport := &http.Transport{MaxIdleConnsPerHost: 20, ExpectContinueTimeout: time.Minute}
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	var reused atomic.Int64
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if info.Reused {
			reused.Add(1)
		}
	}}
	send := func(method, path string, body io.Reader, header http.Header, trailer http.Header) (*http.Response, string) {
		request, err := http.NewRequest(method, url+path, body)
		if err != nil {
			fatal("%v", err)
		}
		for name, values := range header {
			request.Header[name] = values
		}
		request.Trailer = trailer
		request = request.WithContext(httptrace.WithClientTrace(request.Context(), trace))
		response, err := client.Do(request)
		if err != nil {
			fatal("%s %s: %v", method, path, err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			fatal("%s %s: %v", method, path, err)
		}
		if response.StatusCode != 200 {
			fatal("%s %s: %s", method, path, response.Status)
		}
		if _, err := http.ParseTime(response.Header.Get("Date")); err != nil {
			fatal("the date: %v", err)
		}
		return response, string(text)
	}

	var all sync.WaitGroup
	for worker := 0; worker < 10; worker++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := 0; i < 30; i++ {
				size := []int{0, 1, 100, 4096, 4097, 70000, 1000000}[i%7]
				body := bytes.Repeat([]byte{byte('a' + worker)}, size)
				var reader io.Reader = bytes.NewReader(body)
				header, trailer := http.Header{}, http.Header(nil)
				if i%2 == 1 {
					reader = unknown{reader}
				}
				if i%3 == 1 {
					header.Set("Expect", "100-continue")
				}
				if i%5 == 3 {
					trailer = http.Header{"X-Sum": {"12"}}
					reader = unknown{bytes.NewReader(body)}
				}
				method := []string{"POST", "PUT", "PATCH", "DELETE"}[i%4]
				response, text := send(method, "/some/path?q=1", reader, header, trailer)
				if text != string(body) {
					fatal("%d bytes of %d", len(text), len(body))
				}
				if size <= 4096 && response.ContentLength != int64(size) {
					fatal("a length of %d for %d bytes", response.ContentLength, size)
				}
			}
		}()
	}
	all.Wait()
	if reused.Load() < 200 {
		fatal("only %d of 300 requests went over a connection that was there", reused.Load())
	}

	response, text := send("HEAD", "/", nil, nil, nil)
	if text != "" || response.ContentLength > 0 {
		fatal("HEAD: %q", text)
	}
	_, text = send("GET", "/echo", nil, http.Header{"X-Some": {"one", "two"}}, nil)
	if !strings.Contains(text, "X-Some: one\nX-Some: two\n") {
		fatal("the fields: %q", text)
	}
	_, text = send("GET", "/cookie", nil, http.Header{"Cookie": {"a=1; b=2"}}, nil)
	if text != "a=1\nb=2\n" {
		fatal("the cookies: %q", text)
	}
	fmt.Println("ok")
}
