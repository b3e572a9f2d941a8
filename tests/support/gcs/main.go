// A server that speaks Google Cloud Storage, for tests: fake-gcs-server behind the XML API.
//
// fake-gcs-server keeps the objects and checks conditions, but only in the JSON API. Clients in
// Rust write with the XML API, so each of its requests is handed on as the one of the JSON API that
// means the same. Prints "http://127.0.0.1:PORT".
//
// usage: gcs BUCKET
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

type xmlAPI struct {
	behind http.Handler
}

// Asks the JSON API; its answer is told with the headers of the XML API.
func (api xmlAPI) ask(w http.ResponseWriter, method, target string, body io.Reader) {
	request := httptest.NewRequest(method, target, body)
	answer := httptest.NewRecorder()
	api.behind.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
		return
	}
	var told struct{ Etag, Generation string }
	if err := json.Unmarshal(answer.Body.Bytes(), &told); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf("%q", strings.Trim(told.Etag, `"`)))
	w.Header().Set("x-goog-generation", told.Generation)
}

func (api xmlAPI) put(w http.ResponseWriter, r *http.Request, bucket, name string) {
	query := url.Values{}
	if generation := r.Header.Get("x-goog-if-generation-match"); generation != "" {
		query.Set("ifGenerationMatch", generation)
	}
	if source := r.Header.Get("x-goog-copy-source"); source != "" {
		from, object, _ := strings.Cut(strings.TrimPrefix(source, "/"), "/")
		target := fmt.Sprintf("/storage/v1/b/%s/o/%s/copyTo/b/%s/o/%s?%s", from, object,
			url.PathEscape(bucket), url.PathEscape(name), query.Encode())
		api.ask(w, http.MethodPost, target, strings.NewReader("{}"))
		return
	}
	content, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	query.Set("uploadType", "media")
	query.Set("name", name)
	target := fmt.Sprintf("/upload/storage/v1/b/%s/o?%s", url.PathEscape(bucket), query.Encode())
	api.ask(w, http.MethodPost, target, bytes.NewReader(content))
}

func (api xmlAPI) hasBucket(bucket string) bool {
	answer := httptest.NewRecorder()
	target := "/storage/v1/b/" + url.PathEscape(bucket)
	api.behind.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, target, nil))
	return answer.Code == http.StatusOK
}

func (api xmlAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bucket, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case !api.hasBucket(bucket):
		http.Error(w, "<Error><Code>NoSuchBucket</Code></Error>", http.StatusNotFound)
	case r.Method == http.MethodPut:
		api.put(w, r, bucket, name)
	default:
		api.behind.ServeHTTP(w, r)
	}
}

func run() error {
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		NoListener: true,
		PublicHost: "127.0.0.1",
		Writer:     os.Stderr,
	})
	if err != nil {
		return err
	}
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: os.Args[1]})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	return http.Serve(listener, xmlAPI{server.HTTPHandler()})
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gcs BUCKET")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
