// Package muc sits in rooms (XEP-0045) and posts to them: a post is sent when its room has reflected it.
//
// The parts, from the top:
//
//   - Rooms are the served rooms: who is in them, under which nick we are, and who belongs to them. room is one of them, and
//     membership what is known of its lists.
//   - Posts are the posts on their way: lookup finds out what a room had when the stream, or our seat, was lost; selfping asks a
//     room that does not reflect what it was sent.
//   - Visit joins a room once, for a check.
//
// It does not know what is said in a room, or who may say it: the side classifies that, by Rooms.Speaker.
package muc
