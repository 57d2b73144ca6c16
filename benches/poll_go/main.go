// The rows of benches/poll, by Go: row, who, nanoseconds a step by the clock and of the processors'
// time, parted by tabs. Given words, only rows that begin with one.
//
// "trips go CONNECTIONS ROUNDS" makes so many round trips and nothing else.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const message = 64

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func clocks() [2]float64 {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return [2]float64{float64(time.Now().UnixNano()), float64(usage.Utime.Nano() + usage.Stime.Nano())}
}

// contender takes so many steps, and those of its baseline are taken off.
type contender struct {
	who           string
	run, baseline func(steps int)
}

func row(name string, steps int, contenders ...contender) {
	wanted := len(os.Args) < 2
	for _, word := range os.Args[1:] {
		wanted = wanted || strings.HasPrefix(name, word)
	}
	if !wanted {
		return
	}
	measure := func(run func(int)) (each [2]float64) {
		before := clocks()
		run(steps)
		for i, after := range clocks() {
			each[i] = (after - before[i]) / float64(steps)
		}
		return each
	}
	samples := make([][2][]float64, len(contenders))
	for range 25 {
		for i, it := range contenders {
			each := measure(it.run)
			if it.baseline != nil {
				for i, less := range measure(it.baseline) {
					each[i] -= less
				}
			}
			for clock := range each {
				samples[i][clock] = append(samples[i][clock], each[clock])
			}
		}
	}
	for i, it := range contenders {
		for _, list := range samples[i] {
			slices.Sort(list)
		}
		wall, cpu := samples[i][0], samples[i][1]
		fmt.Printf("%s\t%s\t%.0f\t%.0f\n", name, it.who, wall[len(wall)/2], cpu[len(cpu)/2])
	}
}

// pair answers a connection, its second end as a descriptor that blocks.
func pair() (*net.TCPConn, int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer listener.Close()
	far, err := net.Dial("tcp", listener.Addr().String())
	must(err)
	near, err := listener.Accept()
	must(err)
	// Go sends without delay on its own account.
	raw, err := far.(*net.TCPConn).SyscallConn()
	must(err)
	var fd int
	must(raw.Control(func(own uintptr) { fd, err = syscall.Dup(int(own)) }))
	must(err)
	must(syscall.SetNonblock(fd, false))
	must(far.Close())
	return near.(*net.TCPConn), fd
}

func vector(call uintptr, fd int, buf []byte) {
	part := syscall.Iovec{Base: &buf[0]}
	part.SetLen(len(buf))
	n, _, errno := syscall.Syscall(call, uintptr(fd), uintptr(unsafe.Pointer(&part)), 1)
	if int(n) != len(buf) {
		panic(errno)
	}
}

// trips has a client that blocks send to each connection and then hear from each; a goroutine for
// each sends back what it hears.
func trips(connections, rounds int, deadline bool, pause time.Duration) {
	var servers sync.WaitGroup
	var far []int
	for range connections {
		near, fd := pair()
		far = append(far, fd)
		servers.Go(func() {
			buf := make([]byte, message+1)
			for {
				if deadline {
					must(near.SetReadDeadline(time.Now().Add(30 * time.Second)))
				}
				n, err := near.Read(buf)
				if err == io.EOF {
					break
				}
				must(err)
				_, err = near.Write(buf[:n])
				must(err)
			}
			must(near.Close())
		})
	}
	runtime.LockOSThread()
	buf := make([]byte, message)
	for range max(rounds, 1) {
		if pause > 0 {
			left := syscall.NsecToTimespec(pause.Nanoseconds())
			syscall.Syscall6(syscall.SYS_CLOCK_NANOSLEEP, 1, 0, uintptr(unsafe.Pointer(&left)), 0, 0, 0)
		}
		for _, fd := range far {
			vector(syscall.SYS_WRITEV, fd, buf)
		}
		for _, fd := range far {
			vector(syscall.SYS_READV, fd, buf)
		}
	}
	runtime.UnlockOSThread()
	for _, fd := range far {
		must(syscall.Close(fd))
	}
	servers.Wait()
}

// register takes a descriptor into the netpoller and out again.
func register() {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	must(err)
	each := func(steps int, end func(fd int)) {
		for range steps {
			fd, err := syscall.Dup(pair[0])
			must(err)
			end(fd)
		}
	}
	row("register", 20_000, contender{
		who: "go",
		run: func(steps int) {
			each(steps, func(fd int) { must(os.NewFile(uintptr(fd), "socket").Close()) })
		},
		baseline: func(steps int) { each(steps, func(fd int) { must(syscall.Close(fd)) }) },
	})
}

// reads reads what is there, in short pieces.
func reads() {
	const messages = 256
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	must(err)
	near, far := os.NewFile(uintptr(pair[0]), "near"), os.NewFile(uintptr(pair[1]), "far")
	read := func(steps int, before func()) {
		buf := make([]byte, message)
		block := make([]byte, message*messages)
		for range steps / messages {
			_, err := far.Write(block)
			must(err)
			for range messages {
				before()
				_, err := io.ReadFull(near, buf)
				must(err)
			}
		}
	}
	row("read", 100*messages,
		contender{who: "go", run: func(steps int) {
			must(near.SetReadDeadline(time.Time{}))
			read(steps, func() {})
		}},
		contender{who: "go-deadline", run: func(steps int) {
			read(steps, func() { must(near.SetReadDeadline(time.Now().Add(30 * time.Second))) })
		}})
}

// wakes ends each other's read by its deadline, in turns.
func wakes() {
	row("wake_read", 4_000, contender{who: "go", run: func(steps int) {
		mine, mineWriter, err := os.Pipe()
		must(err)
		theirs, theirsWriter, err := os.Pipe()
		must(err)
		past := time.Now()
		wait := func(reader *os.File) {
			if _, err := reader.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				panic(err)
			}
			must(reader.SetReadDeadline(time.Time{}))
		}
		both(func() {
			for range steps / 2 {
				must(theirs.SetReadDeadline(past))
				wait(mine)
			}
		}, func() {
			for range steps / 2 {
				wait(theirs)
				must(mine.SetReadDeadline(past))
			}
		})
		for _, file := range []*os.File{mine, mineWriter, theirs, theirsWriter} {
			must(file.Close())
		}
	}})
}

func both(one, other func()) {
	var done sync.WaitGroup
	done.Go(other)
	one()
	done.Wait()
}

// parks passes a word back and forth between goroutines, or between threads.
func parks() {
	run := func(enter, leave func()) func(int) {
		return func(steps int) {
			mine, theirs := make(chan struct{}), make(chan struct{})
			both(func() {
				enter()
				defer leave()
				for range steps / 2 {
					theirs <- struct{}{}
					<-mine
				}
			}, func() {
				enter()
				defer leave()
				for range steps / 2 {
					<-theirs
					mine <- struct{}{}
				}
			})
		}
	}
	row("park", 4_000,
		contender{who: "go-threads", run: run(runtime.LockOSThread, runtime.UnlockOSThread)},
		contender{who: "go", run: run(func() {}, func() {})})
}

func main() {
	if len(os.Args) == 5 && os.Args[1] == "trips" {
		connections, err := strconv.Atoi(os.Args[3])
		must(err)
		rounds, err := strconv.Atoi(os.Args[4])
		must(err)
		trips(connections, rounds, strings.HasSuffix(os.Args[2], "-deadline"), 2*time.Millisecond)
		return
	}
	trip := func(who string, connections int, deadline bool) contender {
		return contender{who: who, run: func(steps int) {
			trips(connections, steps/connections, deadline, 0)
		}}
	}
	row("trip_1", 4_000, trip("go", 1, false))
	row("trip_1_deadline", 4_000, trip("go", 1, false), trip("go-deadline", 1, true))
	row("trip_64", 16_000, trip("go", 64, false))
	register()
	reads()
	wakes()
	parks()
}
