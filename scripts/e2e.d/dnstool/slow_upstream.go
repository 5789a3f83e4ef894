package main

import (
	"fmt"
	"log"
	"net"
	"regexp"
	"strconv"
	"time"
)

var slowName = regexp.MustCompile(`^n([0-9]{1,3})\.after([0-9]{1,4})ms\.`)

// serveSlowly answers n7.after300ms.ANYTHING with the address 10.233.20.7 after 300 ms, and prints
// each query when it arrives.
func serveSlowly(address string) error {
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	defer socket.Close()
	for {
		buffer := make([]byte, 4096)
		n, client, err := socket.ReadFrom(buffer)
		if err != nil {
			return err
		}
		query, err := parse(buffer[:n])
		if err != nil {
			log.Print(err)
			continue
		}
		fmt.Println("query", query.name)
		time.AfterFunc(delay(query.name), func() {
			if _, err := socket.WriteTo(reply(query, slowAnswer(query.name)), client); err != nil {
				log.Print(err)
			}
		})
	}
}

// slowAnswer returns the address of a slow name, "" for other names.
func slowAnswer(name string) string {
	match := slowName.FindStringSubmatch(name)
	if match == nil {
		return ""
	}
	return fmt.Sprintf("10.233.20.%s", match[1])
}

func delay(name string) time.Duration {
	match := slowName.FindStringSubmatch(name)
	if match == nil {
		return 0
	}
	milliseconds, err := strconv.Atoi(match[2])
	if err != nil {
		return 0
	}
	return time.Duration(milliseconds) * time.Millisecond
}
