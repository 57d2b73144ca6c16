// A client that reads one answer with its trailers: trailers.go PORT. Says what it got.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	answer, err := http.Get("http://127.0.0.1:" + os.Args[1] + "/")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_, announced := answer.Trailer["X-Sum"]
	body, err := io.ReadAll(answer.Body)
	fmt.Println(announced, string(body), err, answer.Trailer)
}
