// Package servers starts private instances of Debian's mosquitto, prosody, ejabberd, RabbitMQ and PostgreSQL, and of NATS' server (a
// tool of go.mod), on free loopback ports, with all their data in one folder. Tests and the demo use it; the relay itself never does.
//
// It has two layers. StartMosquitto, StartProsody, StartEjabberd, StartRabbitMQ and StartNATS take a context (which bounds the
// start, nothing more) and a folder, and return errors. NewMosquitto and so on are the
// same for tests: the folder is the test's own, a failure fails the test, the server ends with the test,
// and its log is shown when the test failed.
//
// A server keeps its ports and its data over Stop (SIGTERM), Kill (SIGKILL) and Start. It also ends when
// the process that started it dies, however it dies.
//
// It does not configure anything for use beyond one machine: certificates are made anew for each
// instance, and passwords are written in the clear.
package servers
