#!/usr/bin/env python
"""Live translation in a Qt window, with a line to compare: left of it the camera's picture, right of it the result.

Example: python runtime/apps/qt_window.py city.i2i 0
Needs: pip install PySide6-Essentials
"""

from __future__ import annotations

import argparse
import signal
import sys

import numpy as np
from PySide6.QtCore import QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QLabel, QSlider, QVBoxLayout, QWidget

from edge_i2i import EdgeI2IError, LiveSession, Picture, PictureError, Result, open_session


class ComparedPicture(QWidget):
    """The newest result, with the frame it was made of left of the split."""

    arrived = Signal()  # crosses from the session's thread to Qt's

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumSize(320, 240)
        self._newest: Result | None = None
        self._split = 0.5
        self.arrived.connect(self.update)  # Qt paints once, however many arrived since it painted last

    def take(self, result: Result) -> None:
        """From any thread: one assignment and a signal without contents, so that nothing queues up behind Qt."""
        self._newest = result
        self.arrived.emit()

    def set_split(self, percent: int) -> None:
        """Where the line stands: 0 shows the result alone, 100 the frame alone."""
        self._split = percent / 100
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        result = self._newest
        if result is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        area = self._area(result.image)
        painter.drawImage(area, as_image(result.image))
        left = QRectF(area.left(), area.top(), area.width() * self._split, area.height())
        painter.setClipRect(left)
        painter.drawImage(area, as_image(result.frame.image))
        painter.setClipping(False)
        painter.setPen(Qt.GlobalColor.white)
        painter.drawLine(left.topRight(), left.bottomRight())

    def _area(self, picture: Picture) -> QRectF:
        """The largest rectangle of the picture's proportions, in the middle."""
        height, width = picture.shape[:2]
        scale = min(self.width() / width, self.height() / height)
        shown_width, shown_height = width * scale, height * scale
        return QRectF((self.width() - shown_width) / 2, (self.height() - shown_height) / 2, shown_width, shown_height)


def as_image(picture: Picture) -> QImage:
    """A copy: Qt would share the array's memory without keeping it alive."""
    rows = np.ascontiguousarray(picture)
    height, width = rows.shape[:2]
    return QImage(rows.data, width, height, rows.strides[0], QImage.Format.Format_RGB888).copy()


class LiveWindow(QWidget):
    """The picture, the slider, and figures once a second. Closing it ends the session."""

    def __init__(self, session: LiveSession, frames: int = sys.maxsize) -> None:
        super().__init__()
        self.setWindowTitle("edge-i2i")
        self._session, self._frames = session, frames
        self.failure: EdgeI2IError | None = None
        self.has_ended = False  # by itself; its user may close it before anything is translated
        self.picture, self.label = ComparedPicture(), QLabel("loading …")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setValue(50)
        self.slider.valueChanged.connect(self.picture.set_split)
        layout = QVBoxLayout(self)
        layout.addWidget(self.picture, stretch=1)
        layout.addWidget(self.slider)
        layout.addWidget(self.label)
        self._timer = QTimer(self, interval=1000)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        session.on_frame(self.picture.take)

    def _look(self) -> None:
        """Show the figures; what ends the session closes the window."""
        stats = self._session.stats()
        dropped = sum(stats.dropped.values())
        self.label.setText(f"{stats.fps:.1f} fps on {stats.engine}, age {stats.age_ms.p50:.0f} ms, dropped {dropped}")
        try:
            self.has_ended = self._session.wait(0)
        except EdgeI2IError as error:
            self.failure, self.has_ended = error, True
        if self.has_ended or stats.frames >= self._frames:
            self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._timer.stop()
        event.accept()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("source", nargs="?", default="0", help="0, a file, rtsp://…, pattern:, photo:…")
    parser.add_argument("--frames", type=int, default=sys.maxsize, help="close after so many translated ones")
    parser.add_argument("--threads", type=int, help="CPU threads of the network")
    options = parser.parse_args()
    application = QApplication(sys.argv[:1])
    signal.signal(signal.SIGINT, lambda *_: application.closeAllWindows())
    with open_session(options.bundle, source=options.source, threads=options.threads) as session:
        window = LiveWindow(session, options.frames)
        window.resize(960, 720)
        window.show()
        application.exec()
        if window.failure is not None:  # a program of yours may show a QMessageBox
            raise window.failure
    stats = session.stats()
    if stats.frames == 0 and window.has_ended:
        raise PictureError(f"Nothing was translated: {options.source} gave no frame.")
    print(f"{stats.frames} frames on {stats.engine}, age p50 {stats.age_ms.p50:.0f} ms")


if __name__ == "__main__":
    try:
        main()
    except EdgeI2IError as error:  # it says what happened and what to do
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
