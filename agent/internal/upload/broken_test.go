package upload

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"sync"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// broken starts helpers that answer every question about one file as a failing disk makes them do.
type broken struct {
	Spawner
	path string
}

func (b broken) Spawn(ctx context.Context, job outputs.JobFiles) (io.ReadWriteCloser, func(), error) {
	inner, kill, err := b.Spawner.Spawn(ctx, job)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := net.Pipe()
	r := &relay{path: b.path, client: theirs, helper: inner}
	var done sync.WaitGroup
	done.Go(r.questions)
	done.Go(r.answers)
	return ours, func() { _ = theirs.Close(); kill(); done.Wait() }, nil
}

// relay passes whole messages on.
type relay struct {
	path           string
	client, helper io.ReadWriteCloser
	answering      sync.Mutex
}

func (r *relay) questions() {
	defer func() { _ = r.helper.Close() }()
	for {
		body, err := readFrame(r.client)
		if err != nil {
			return
		}
		var q struct {
			ID    uint64        `json:"id"`
			Verb  string        `json:"verb"`
			Entry outputs.Entry `json:"entry"`
		}
		if json.Unmarshal(body, &q) == nil && q.Verb == "hash" && q.Entry.Path == r.path {
			body, _ = json.Marshal(map[string]any{"id": q.ID, "fault": "other", "message": "read: input/output error"})
			r.answer(body)
			continue
		}
		if writeFrame(r.helper, body) != nil {
			return
		}
	}
}

func (r *relay) answers() {
	defer func() { _ = r.client.Close() }()
	for {
		body, err := readFrame(r.helper)
		if err != nil {
			return
		}
		r.answer(body)
	}
}

func (r *relay) answer(body []byte) {
	r.answering.Lock()
	defer r.answering.Unlock()
	_ = writeFrame(r.client, body) // the client has gone: its next question does not come
}

func readFrame(from io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(from, body)
	return body, err
}

func writeFrame(to io.Writer, body []byte) error {
	_, err := to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}
