// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// page is one of the dashboard's. Texts are compared without regard to case and white space.
type page struct {
	path string
	// clicks are texts of what is clicked, one after the other, once it is there, within the element that the selector finds.
	within string
	clicks []string
	// arguments of a program are typed before the last click.
	arguments string
	// wants are texts, values among them, that the page has to show in the end; patterns are regular expressions.
	wants, patterns []string
}

// site is what pages are of.
type site struct {
	running, ended, worker string
	// data is the directory of the cluster.
	data string
	// source is a vertex without input, middle one with.
	source, middle vertex
}

// tryPages opens each page of the dashboard.
func tryPages(ctx context.Context, r *report, o options, c *cluster) error {
	s, err := prepare(ctx, c)
	if err != nil {
		return err
	}
	b, err := startBrowser(ctx, o.chromium, filepath.Join(c.dir, "browser"))
	if err != nil {
		return err
	}
	defer b.stop()
	if o.shots != "" {
		if err := os.MkdirAll(o.shots, 0o755); err != nil {
			return err
		}
	}
	for i, p := range s.pages() {
		err := open(ctx, b, "http://"+c.address+"/#"+p.path, p)
		name := p.path
		if len(p.clicks) > 0 {
			name += " > " + strings.Join(p.clicks, " > ")
		}
		r.add("page", name, err)
		if o.shots != "" {
			if err := b.screenshot(ctx, filepath.Join(o.shots, fmt.Sprintf("%02d%s.png", i, strings.ReplaceAll(p.path, "/", "_")))); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare starts a job and ends another one.
func prepare(ctx context.Context, c *cluster) (s site, err error) {
	s.data = c.data
	if s.ended, err = c.job(ctx); err != nil {
		return s, err
	}
	if _, err = c.command(ctx, "cancel", s.ended); err != nil {
		return s, err
	}
	if err = c.state(ctx, s.ended, "CANCELED"); err != nil {
		return s, err
	}
	if s.running, err = c.job(ctx); err != nil {
		return s, err
	}
	vertices, err := c.vertices(ctx, s.running)
	if err != nil {
		return s, err
	}
	for _, v := range vertices {
		switch {
		case strings.HasPrefix(v.Name, "Source: flights"):
			s.source = v
		case !strings.HasPrefix(v.Name, "Source"):
			s.middle = v
		}
	}
	s.worker, err = c.worker(ctx, s.running, s.middle.ID)
	return s, err
}

// open opens one, clicks, and waits until it shows what it has to without a complaint.
func open(ctx context.Context, b *browser, url string, p page) error {
	if err := b.visit(ctx, url); err != nil {
		return err
	}
	for i, text := range p.clicks {
		if p.arguments != "" && i == len(p.clicks)-1 {
			if err := patiently(ctx, func() error { return enter(ctx, b, "Program Arguments", p.arguments) }); err != nil {
				return err
			}
		}
		if err := patiently(ctx, func() error { return click(ctx, b, p.within, text) }); err != nil {
			return err
		}
	}
	if err := patiently(ctx, func() error { return shows(ctx, b, p) }); err != nil {
		return fmt.Errorf("%w %s", err, strings.Join(b.complaints(), "; "))
	}
	select { // the page asks again meanwhile
	case <-time.After(settle):
	case <-ctx.Done():
	}
	if wrong := b.complaints(); len(wrong) > 0 {
		return fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return shows(ctx, b, p)
}

// settle is how long a page is looked at after it shows all.
const settle = 500 * time.Millisecond

// pageMax is how long a page may take.
const pageMax = 15 * time.Second

func patiently(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, pageMax)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return err
		}
	}
}

// click clicks the innermost element that has this text.
func click(ctx context.Context, b *browser, within, text string) error {
	const script = `((within, text) => {
		const found = [...document.querySelectorAll(within + ' *')].filter(e => e.offsetParent !== null && e.textContent.trim() === text);
		if (!found.length) return false;
		found[found.length - 1].click();
		return true;
	})(%s, %s)`
	done, err := b.evaluate(ctx, fmt.Sprintf(script, strconv.Quote(within), strconv.Quote(text)))
	if err == nil && done != "true" {
		err = fmt.Errorf("there is no %q to click on", text)
	}
	return err
}

// enter types into the field that says what belongs there.
func enter(ctx context.Context, b *browser, placeholder, text string) error {
	const script = `((placeholder, text) => {
		const field = document.querySelector('[placeholder="' + placeholder + '"]');
		if (!field) return false;
		field.value = text;
		field.dispatchEvent(new Event('input'));
		return true;
	})(%s, %s)`
	done, err := b.evaluate(ctx, fmt.Sprintf(script, strconv.Quote(placeholder), strconv.Quote(text)))
	if err == nil && done != "true" {
		err = fmt.Errorf("there is no field %q", placeholder)
	}
	return err
}

var space = regexp.MustCompile(`\s+`)

// noValue is what a page shows in place of a value that it has not found.
var noValue = regexp.MustCompile(`(^|[ (])(nan|undefined|null|invalid date|\[object object\])($|[ ),%])`)

// shows checks that a page has its texts and shows nothing that is none.
func shows(ctx context.Context, b *browser, p page) error {
	const script = `document.body.innerText + ' ' + [...document.querySelectorAll('input,textarea')].map(e => e.value).join(' ') +
		' ' + [...document.querySelectorAll('.view-line')].map(e => e.textContent).join(' ') +
		' ' + [...document.querySelectorAll('svg text, svg title')].map(e => e.textContent).join(' ')`
	text, err := b.evaluate(ctx, script)
	if err != nil {
		return err
	}
	text = strings.ToLower(space.ReplaceAllString(text, " "))
	dense := strings.ReplaceAll(text, " ", "")
	for _, want := range p.wants {
		if !strings.Contains(dense, strings.ToLower(strings.ReplaceAll(want, " ", ""))) {
			return fmt.Errorf("it does not show %q: %.1500s", want, text)
		}
	}
	for _, pattern := range p.patterns {
		if !regexp.MustCompile("(?i)" + pattern).MatchString(text) {
			return fmt.Errorf("it shows nothing like %q: %.1500s", pattern, text)
		}
	}
	if none := noValue.FindString(text); none != "" {
		return fmt.Errorf("it shows %q: %.1500s", none, text)
	}
	return nil
}
