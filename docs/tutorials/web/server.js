// The web server of the tutorials: "/" greets, "/error" ends the process.
const http = require('http')
const os = require('os')

const version = process.env.VERSION || 'v1'
const greeting = process.env.GREETING || 'Hello'

const server = http.createServer((request, response) => {
  if (request.url === '/error') {
    response.end('Goodbye\n', () => process.exit(1))
    return
  }
  response.end(`${greeting} from ${os.hostname()}, version ${version}\n`)
})
server.listen(8080, () => console.log(`web ${version} listens on 8080`))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
